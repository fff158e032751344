"""`mafalda simulate` as a program: output, exit statuses, replay, sweep and shrink."""

import json
import shlex
import subprocess

import pytest
from conftest import binary

SMALL = ["--nodes", "8", "--duration", "4s", "--set", "join.over=2s", "--set", "settle=12s"]


def simulate(*arguments, status=0):
    done = subprocess.run([binary(), "simulate", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (arguments, done.returncode, done.stdout[-800:], done.stderr[-800:])
    return done


def report(*arguments, status=0):
    return json.loads(simulate(*arguments, "--json", status=status).stdout.strip().split("\n")[-1])


def test_the_last_line_is_one_object():
    figures = report("discovery", *SMALL, "--seed", "3")
    for name in [
        "digest", "simulated_seconds", "wall_seconds", "cpu_seconds", "events", "events_per_node_second", "violations",
        "lookup_ms_p50", "lookup_ms_p99", "lookup_success_ratio", "absence_ms_p99", "publish_ms_p50", "kib_per_node",
        "bytes_per_node_second", "datagrams_per_node_second", "answers_max_over_mean", "dht_bytes_per_node_second",
    ]:
        assert name in figures, name
    assert figures["scenario"] == "discovery" and figures["nodes"] == 8 and figures["seed"] == 3
    assert figures["violations"] == 0 and figures["simulated_seconds"] == 24


def test_three_processes_one_digest():
    digests = {report("everything", "--nodes", "10", "--duration", "8s", "--seed", "11")["digest"] for _ in range(3)}
    assert len(digests) == 1
    assert report("everything", "--nodes", "10", "--duration", "8s", "--seed", "12")["digest"] not in digests


def test_the_table_names_the_options_first():
    lines = simulate("discovery", *SMALL).stdout.split("\n")
    assert lines[0].startswith("discovery: ") and "seed 1, 8 nodes on planetlab490" in lines[1]
    assert any(line.startswith("lookup_ms_p50") for line in lines)


def test_scenarios_are_listed():
    listed = simulate("--list").stdout
    for name in ["quiet", "discovery", "churn", "liars", "crash", "partition", "mass-death", "paths", "tree", "flash-crowd",
                 "balance", "everything", "dht-latency"]:
        assert any(line.startswith(name + " ") for line in listed.split("\n")), name


@pytest.mark.parametrize("arguments, said, status", [
    (["quiet", "--nodes", "0"], "--nodes 0: 'nodes' is \"0\", expected a number from 1 to 100000", 2),
    (["quit"], "no scenario 'quit'; did you mean 'quiet'?", 2),
    (["quiet", "--set", "network.los=1%"], "unknown key 'los' in 'network'; did you mean 'loss'?", 2),
    (["quiet", "--set", "network.loss=abc"], "'loss' is \"abc\", expected a share like 1%", 2),
    (["quiet", "--matrix", "nowhere"], "matrix nowhere: neither built in", 2),
    (["discovery", "--without", "camras"], "--without camras: nothing has that name; did you mean 'cameras'?", 2),
    (["quiet", "--sweep", "0"], "--sweep 0", 2),
    (["quiet", "--jobs", "2"], "--jobs goes with --sweep", 2),
    ([], "name a scenario", 2),
    (["nowhere/at-all.yaml"], "nowhere/at-all.yaml: no such file", 1),
])
def test_one_line_about_what_is_wrong(arguments, said, status):
    error = simulate(*arguments, status=status).stderr
    assert said in error and error.count("\n") == 1


def test_files_name_their_lines(tmp_path):
    scenario = tmp_path / "mine.yaml"
    scenario.write_text("include: discovery\nnodes: 6\nnetwork:\n  loss: lots\n")
    error = simulate(str(scenario), status=1).stderr
    assert f"{scenario}:4: 'loss' is \"lots\"" in error and error.count("\n") == 1
    matrix = tmp_path / "bad.csv"
    matrix.write_text("0,1,2\n1,0\n2,1,0\n")
    error = simulate("quiet", "--matrix", str(matrix), status=1).stderr
    assert f"{matrix}: line 2: 2 values, expected 3" in error and error.count("\n") == 1
    scenario.write_text("include: neighbour\nduration: 2s\nsettle: 12s\njoin: {over: 2s}\n")
    (tmp_path / "neighbour.yaml").write_text("about: Beside it.\nnodes: 4\n")
    assert report(str(scenario))["nodes"] == 4


def test_a_violation_prints_the_command_that_replays_it_and_a_smaller_one():
    arguments = ["everything", "--seed", "4", "--nodes", "9", "--duration", "10s", "--set", "expect.lookups=< 1", "--quiet"]
    done = simulate(*arguments, "--shrink", status=1)
    lines = done.stdout.strip().split("\n")
    assert any(line.startswith("violation: lookups is ") for line in lines)
    replay = next(line for line in lines if line.startswith("replay: "))
    again = subprocess.run([binary(), *shlex.split(replay)[2:]], capture_output=True, text=True)
    assert again.returncode == 1 and "violation: lookups is " in again.stdout
    digest = [line for line in lines if line.startswith("digest")]
    assert digest and digest[0] in again.stdout
    smaller = next(line for line in lines if line.startswith("shrunk after "))
    command = shlex.split(smaller.split(": ", 1)[1])
    assert int(command[command.index("--nodes", command.index("--nodes")) + 1]) < 9
    third = subprocess.run([binary(), *command[1:]], capture_output=True, text=True)
    assert third.returncode == 1 and "violation: lookups is " in third.stdout


def test_a_sweep_reports_every_failing_seed():
    good = report("discovery", *SMALL, "--sweep", "4", "--jobs", "2")
    assert good["seeds"] == 4 and good["failed"] == 0
    bad = report("discovery", *SMALL, "--set", "expect.lookups=< 1", "--seed", "7", "--sweep", "3", status=1)
    assert bad["failed_seeds"] == [7, 8, 9]


def test_lines_and_plots(tmp_path):
    lines = tmp_path / "lines.jsonl"
    simulate("discovery", *SMALL, "--jsonl", str(lines), "--svg", str(tmp_path / "plots"))
    kinds = {json.loads(line)["kind"] for line in lines.read_text().strip().split("\n")}
    assert kinds == {"lookup", "publish", "sample"}
    for name in ["latency", "load", "bytes"]:
        text = (tmp_path / "plots" / f"{name}.svg").read_text()
        assert text.startswith("<svg ") and "polyline" in text and "seed 1" in text
    simulate("quiet", "--nodes", "3", "--duration", "1s", "--jsonl", str(tmp_path / "no" / "such"), status=1)
