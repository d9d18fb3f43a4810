"""A middleware stands between clients and the embedded AWS."""

import textwrap

import pytest
from botocore.exceptions import ClientError

from rios_plugin_awsbatch.errors import AWSBatchException
from rios_plugin_awsbatch.local import LocalAWS
from tests.local.support import Account, code_of


def test_middleware_wraps_the_application(tmp_path, monkeypatch):
    """It sees every request, and what it answers reaches the client."""
    (tmp_path / "meddling.py").write_text(
        textwrap.dedent("""
        def factory(app):
            def meddle(environ, start_response):
                if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ListQueues":
                    start_response("418 I'm a teapot", [("Content-Type", "application/json")])
                    return [b'{"__type": "Teapot"}']
                return app(environ, start_response)
            return meddle
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    with LocalAWS(middleware="meddling:factory") as aws:
        account = Account(aws)
        account.queue()
        with pytest.raises(ClientError) as refused:
            account.sqs.list_queues()
        assert code_of(refused) == "Teapot"


def test_middleware_that_cannot_be_imported_is_named():
    """An unknown middleware ends the start with its name."""
    with (
        pytest.raises(AWSBatchException, match="no_such_module"),
        LocalAWS(middleware="no_such_module:factory"),
    ):
        pass
