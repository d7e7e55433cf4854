"""The official Java client, newest 4.3: tests/clients/java, built by Maven.

  tests/blackbox/run.py java --filter kills-under-load --rounds 100     kill -9 under the idempotent producer, by hand
"""
import glob
import hashlib
import os
import re
import shutil

from harness import ROOT, Suite, Unreachable, cache_dir, fetched, install_debian

SOURCE = os.path.join(ROOT, "tests/clients/java")


def build_dir():
    digest = hashlib.sha256()
    for path in sorted(glob.glob(SOURCE + "/**/*", recursive=True)):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                digest.update(f.read())
    return os.path.join(cache_dir(), "java-suite-" + digest.hexdigest()[:16])


def prepare(options):
    install_debian("openjdk-17-jdk-headless", "maven")
    build = build_dir()
    if os.path.exists(os.path.join(build, "complete")):
        return
    shutil.rmtree(build, ignore_errors=True)
    compiler = "COMPILATION ERROR"
    done = fetched(["mvn", "-B", "-q", f"-Dbuild.dir={build}", "compile", "dependency:copy-dependencies",
                    f"-DoutputDirectory={build}/lib"], ours=compiler, cwd=SOURCE)
    if done.returncode != 0:
        text = done.stdout + done.stderr
        if compiler in text:
            raise AssertionError(text[:3000])
        raise Unreachable("Java kafka-clients from Maven Central: " + text.strip()[-300:])
    open(os.path.join(build, "complete"), "w").close()


def version():
    jars = glob.glob(build_dir() + "/lib/kafka-clients-*.jar")
    return re.search(r"clients-([\d.]+)\.jar", jars[0]).group(1) if jars else ""


SUITE = Suite("java", "Java kafka-clients", version=version, prepare=prepare)
SUITE.child = lambda options: ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp",
                               f"{build_dir()}/classes:{build_dir()}/lib/*", "millrace.clients.Suite",
                               *(["--rounds", str(options.rounds)] if options.rounds else [])]
