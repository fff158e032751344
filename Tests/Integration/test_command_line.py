"""The command line as scripts use it: exit status, standard output and standard error, precedence, tokens."""

import json
import os

import pytest

from conftest import Node, run

NAMES = {key: value for key, value in os.environ.items() if not key.startswith("MAFALDA_")}


@pytest.mark.parametrize(
    "arguments, status, out, err",
    [
        (["version"], 0, "0.1.0\n", ""),
        (["version", "--json"], 0, '{"version":"0.1.0"}\n', ""),
        (["--bogus"], 2, "", "mafalda: Unknown option '--bogus'"),
        (["nonsense"], 2, "", "mafalda: Unexpected argument 'nonsense'"),
        (["run", "--port", "x"], 2, "", "mafalda: --port: expected a port, 0 to 65535, not 'x'"),
        (["run", "--workers", "0"], 2, "", "mafalda: --workers: expected a number from 1 to 64"),
        (["run", "--join", "mfs1:!"], 2, "", "mafalda: --join: "),
        (["run", "--http", "0.0.0.0:0"], 2, "", "mafalda: refusing to listen on 0.0.0.0:0 for everybody"),
        (["run", "--open", "--tokens"], 2, "", "mafalda: --open contradicts"),
        (["run", "--config", "/nonexistent"], 2, "", "mafalda: cannot read /nonexistent: no such file"),
        (["route"], 2, "", "mafalda: Missing expected argument"),
        (["route", "a//b"], 2, "", "mafalda: 'a//b' is not a stream name"),
        (["play", "a", "--viewers", "0"], 2, "", "mafalda: --viewers: expected 1 to 500"),
        (["publish", "a", "--duration", "soon"], 2, "", "mafalda: --duration: expected a duration"),
        (["token"], 2, "", "mafalda: give --publish or --play"),
        (["token", "--play", "a*"], 2, "", "mafalda: 'a*' is not a stream name"),
        (["token", "--play", "*", "--for", "never"], 2, "", "mafalda: --for: expected a duration"),
        (["members", "--api", "ftp://x"], 2, "", "mafalda: --api: expected http://HOST:PORT"),
        (["members", "--api", "http://127.0.0.1:1"], 1, "", "mafalda: no node answers at http://127.0.0.1:1 (connection"),
        (["check-config", "/nonexistent"], 1, "", "mafalda: cannot read /nonexistent"),
    ],
)
def test_status_and_streams(arguments, status, out, err, tmp_path):
    result = run(*arguments, env={**NAMES, "XDG_STATE_HOME": str(tmp_path)})
    assert (result.returncode, result.stdout) == (status, out), result.stderr
    assert result.stderr.startswith(err) and result.stderr.count("\n") == (1 if err else 0)
    assert not list(tmp_path.iterdir())


def test_help_goes_to_standard_output():
    for arguments in (["--help"], ["run", "--help"], ["token", "--help"]):
        result = run(*arguments)
        assert result.returncode == 0 and "USAGE: mafalda" in result.stdout and not result.stderr


def test_flag_beats_environment_beats_file(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text("port: 1000\nworkers: 3\nname: lab\n")
    environment = {**NAMES, "MAFALDA_PORT": "2000", "MAFALDA_WORKERS": "4"}
    result = run("run", "--print-config", "--config", file, "--port", "3000", env=environment)
    assert result.returncode == 0, result.stderr
    lines = {line.split(":")[0]: line.split("#")[-1].strip() for line in result.stdout.splitlines()}
    assert lines["port"] == "--port" and "port: 3000 " in result.stdout
    assert lines["workers"] == "MAFALDA_WORKERS" and lines["name"] == f"{file}:3"


def test_check_config_names_the_line(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_text("port: 1000\n\nprot: 3\n")
    result = run("check-config", file)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"mafalda: {file}:3: unknown key 'prot'; did you mean 'port'?\n"
    file.write_text("port: 1000\n")
    assert run("check-config", file).stdout == f"{file}: ok\n"


def test_lists_print_the_api_unchanged_and_tokens_decide(tmp_path):
    node = Node(tmp_path / "node", flags=["--tokens"])
    try:
        node.wait_ready()
        for command, path, head in (("members", "/api/v1/members", "NODE"), ("streams", "/api/v1/streams", "STREAM")):
            shown = run(command, "--json", "--api", node.url)
            assert shown.returncode == 0, shown.stderr
            assert json.loads(shown.stdout).keys() == node.get(path).keys()
            assert run(command, "--api", node.url).stdout.startswith(head)
        assert run("id", "--data-dir", node.directory).stdout.strip() == node.id
        made = run("token", "--publish", "live/*", "--play", "demo", "--for", "5m", "--data-dir", node.directory)
        headers = {"Content-Type": "application/sdp", "Authorization": "Bearer " + made.stdout.strip()}
        bare = {"Content-Type": "application/sdp"}
        assert node.request("POST", "/whep/demo", "v=0", bare)[0] == 401
        assert node.request("POST", "/whep/demo", "v=0", headers)[0] in (400, 409)
        assert node.request("POST", "/whip/demo", "v=0", headers)[0] == 403
        assert node.request("POST", "/whip/live/a?token=" + made.stdout.strip(), "v=0", bare)[0] == 400
    finally:
        assert node.stop() == 0
