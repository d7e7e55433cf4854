"""The matrix's own test: against a broker that drops, doubles or flips one record its check turns red, and says why.

The broker is a real one behind tests/blackbox/liar.py. Clients of different families, so that it is the check that sees it.
What a broker does wrong to groups is told to the check as histories that must not be.
"""
import harness
from harness import Context, Suite
from liar import Liar
from matrix import History, Play, Stage, Violation, make_value
from matrix_clients import CLIENTS

WITH = ["confluent", "python"]
SUITE = Suite("liar", "the matrix's check", prepare=lambda options: [CLIENTS[key].prepare(options) for key in WITH])
# What the check says when the record at the first of two offsets that follow each other was lied about.
SAYS = {"drop": "read offset {1} of partition 0, expected {0}", "double": "was dropped, doubled or invented", "flip": "flipped: "}


def behind(liar, broker):
    """A second broker like the suite's, which names the liar's address to clients."""
    advertised = f"PLAINTEXT://{liar.address}"
    if broker.kind == "millrace":
        return harness.Millrace(broker.binary, args=["--set", f"advertised.listeners={advertised}"])
    return harness.ReferenceKafka([f"advertised.listeners={advertised}"])


def caught(ctx, client, lie):
    if ctx.broker.kind == "external":
        raise harness.Skip("needs a broker of its own")
    liar, stage = Liar(), Stage(CLIENTS[client])
    broker = behind(liar, ctx.broker)
    try:
        broker.start()
        liar.serve(broker.address)
        broker.address = liar.address
        judged(Context(broker, ctx.options), stage, liar, lie)
    finally:
        stage.drop()
        broker.close()
        liar.close()


def judged(ctx, stage, liar, kind):
    """The same scenario once through an honest proxy and once through a lying one."""
    for lie in (None, kind):
        with Play(ctx, stage, 1) as play:
            try:
                # Two batches, which a reader gets in one answer: a slow client makes two of one call, too.
                play.send(n=3, idempotent=False)
                if lie:
                    liar.lie(lie)
                play.send(n=27, idempotent=False)
                play.assign("reader", p0=0)
                play.until_read()
                play.leave("reader")
                play.history.judge(in_group=False)
                verdict = None
            except Violation as e:
                verdict = str(e)
            if lie is None:
                assert verdict is None, f"an honest proxy: {verdict}"
            else:
                assert liar.told is not None, f"{lie}: the proxy had nothing to lie about"
                assert verdict and SAYS[lie].format(liar.told, liar.told + 1) in verdict, f"{lie}: the check says {verdict}"


for key in WITH:
    for kind in SAYS:
        SUITE.scenario(f"{key}-{kind}")(lambda ctx, key=key, kind=kind: caught(ctx, key, kind))


# ---- histories that must not be: (what the check must say, events)

def assigned(m, *p, g=None):
    return {"e": "assigned", "m": m, "p": list(p), "g": g}


def revoked(m, *p):
    return {"e": "revoked", "m": m, "p": list(p)}


def read(m, *offsets):
    return {"e": "records", "m": m, "p": 0, "o": list(offsets), "v": [make_value(0, o) for o in offsets]}


def committed(m, offset):
    return {"e": "committed", "m": m, "o": {"0": offset}}


WRONG = {
    "two-owners": ("while a owned it", [assigned("a", 0), assigned("b", 0)]),
    "two-owners-of-a-generation": ("two owners in generation 3",
                                   [assigned("a", 0, g=3), revoked("a", 0), assigned("b", 0, g=3)]),
    "read-without-owning": ("nobody owned", [assigned("a", 0), revoked("a", 0), read("a", 0)]),
    "again-without-a-crash": ("began partition 0 at 0", [assigned("a", 0), read("a", 0, 1), revoked("a", 0), assigned("b", 0),
                                                         read("b", 0, 1, 2, 3)]),
    "again-from-before-the-commit": ("began partition 0 at 1", [assigned("a", 0), read("a", 0, 1, 2), committed("a", 2),
                                                                {"e": "killed", "m": "a"}, assigned("b", 0), read("b", 1)]),
    "a-gap-where-the-next-begins": ("began partition 0 at 3", [assigned("a", 0), read("a", 0, 1), revoked("a", 0),
                                                               assigned("b", 0), read("b", 3)]),
    "not-all-read": ("3 of 4 records", [assigned("a", 0), read("a", 0, 1, 2)]),
    "while-paused": ("which is paused", [assigned("a", 0), {"e": "paused", "m": "a", "p": 0}, read("a", 0)]),
}


def judge(events, again):
    history = History("t", 1)
    history.sent[0] = [make_value(0, i) for i in range(4)]
    for i, e in enumerate(events):
        history.add({**e, "at": i})
    try:
        history.judge(again=again)
    except Violation as e:
        return str(e)
    return ""


@SUITE.scenario("histories-that-are-right")
def right(ctx):
    moved = [assigned("a", 0, g=1), read("a", 0, 1), committed("a", 2), revoked("a", 0), assigned("b", 0, g=2), read("b", 2, 3)]
    assert judge(moved, again=False) == ""
    died = [assigned("a", 0), read("a", 0, 1), committed("a", 1), {"e": "killed", "m": "a"}, assigned("b", 0), read("b", 1, 2, 3)]
    assert judge(died, again=True) == ""


for name, (says, events) in WRONG.items():
    def wrong(ctx, says=says, events=events, name=name):
        verdict = judge(events, again=name == "again-from-before-the-commit")
        assert says in verdict, f"the check says {verdict!r}"
    SUITE.scenario(f"history-{name}")(wrong)
