"""The embedded AWS: S3, SQS, CloudFormation, CloudWatch Logs and Batch on this machine.

Processes, and the threads of the server::

    owner's process         server's process                             processes of jobs
    ---------------         ----------------                             -----------------
    LocalAWS -- options --> main: waits for the end of the owner
             <- endpoint --
    boto3 ----- HTTP -----> one per connection: web -> orders -> outages
                            -> credentials -> guard -> sqs
                                                    -> cloudformation
                                                    -> batch -> scheduler
                            one per running job: starts it, waits --> rios-awsbatch-worker
                            one per running job: its output <-------- standard output
                                                 -> logs
                            clock: timeouts, jobs that may start now
                            one per job that is stopped: SIGTERM, SIGKILL
                            one per connection: web <----- HTTP ----- boto3

moto is the base of all services. What it lacks is in the module with the service's name.

IAM: `credentials` knows whose access key a request has, and gives jobs those of their roles.
`authority` knows the policies of users and roles. `guard` reads each request (`api_calls`), finds
what it needs (`iam_actions`), lets `iam` decide, refuses it as AWS would (`refusals`), and keeps
the record.

Locks: each queue has its own (`sqs`), the scheduler has one for all jobs, and so have the logs, the
clock, the `Unkindness`, credentials and the record. No thread waits for a second lock while it
holds one, but for the latter, which hold no other.

With a seed, it is unkind: `unkind` lists how, with the source of each trait, and the services ask
it. `outages` is what may happen to any request. Tests order things exactly through `Control`.

Jobs are processes, not containers: they see the machine's files and programs. But each has a clean
environment and a folder of its own, and when it ends, whatever it left running ends too. In unkind
mode, a job whose definition has no init process is process 1 of a PID namespace, if this machine
lets the user have one (`namespaces`); elsewhere it is a process like any other.
"""

from .embedded import ACCOUNT, LocalAWS

__all__ = ["ACCOUNT", "LocalAWS"]
