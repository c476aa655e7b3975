"""Points the test suite of the Python package requests at $HTTPBIN_URL, and writes what came of each test to $OUTCOMES."""

import json
import os

import pytest

outcomes = {}


class Server:
    def __init__(self, url):
        self.url = url


@pytest.fixture
def httpbin():
    return Server(os.environ["HTTPBIN_URL"])


@pytest.fixture
def httpbin_both(httpbin):
    return httpbin


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish():
    with open(os.environ["OUTCOMES"], "w") as file:
        json.dump(outcomes, file)
