"""The embedded AWS: S3, SQS, CloudFormation, CloudWatch logs and Batch on this machine.

::

    main process                         the server's process                    processes of jobs
    ------------                         --------------------                    -----------------
    LocalAWS  --- starts, owns --------> server: moto on 127.0.0.1
    boto3     --- HTTP ----------------> web -> queues   (SQS, for threads)
                                         web -> stacks -> kinds   (CloudFormation: stack/batch.yaml)
                                         web -> batch -> jobs -- starts, ends -> rios-awsbatch-worker
                                         web <------------- HTTP --------------- boto3

Jobs are processes, not containers: they see the machine's files and programs, but have a clean
environment, a folder of their own to work in, and an end that takes whatever they left running.

For tests of what only Batch can do to a job: ``workers=0`` leaves jobs RUNNABLE, and an image named
``missing/...`` cannot be pulled.
"""

from .embedded import LocalAWS

__all__ = ["LocalAWS"]
