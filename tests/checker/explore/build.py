"""A small assembler for hand-built programs of the IR, and the toy programs of the tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from genfscheck.checker.lang import ir

BIT = ir.Domain("bool", 0, 1)


def const(value: int) -> ir.Const:
    return ir.Const(value)


def op(name: str, left: ir.Expr | int, right: ir.Expr | int) -> ir.Binary:
    one = const(left) if isinstance(left, int) else left
    two = const(right) if isinstance(right, int) else right
    return ir.Binary(name, one, two, ir.INT32)


def number(high: int, low: int = 0) -> ir.Domain:
    return ir.Domain("int", low, high)


def shared(var: int, index: ir.Expr | int = 0) -> ir.Shared:
    return ir.Shared(var, const(index) if isinstance(index, int) else index)


@dataclass
class Code:
    """Instructions with labels; every method appends one."""

    name: str
    index: int = 0
    instrs: list[ir.Instr] = field(default_factory=list)
    locals: list[ir.LocalVar] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    fixups: list[tuple[int, str, bool]] = field(default_factory=list)

    def local(self, name: str, domain: ir.Domain = BIT, length: int = 1) -> ir.Local:
        self.locals.append(ir.LocalVar(name, domain, length, length > 1))
        return ir.Local(len(self.locals) - 1)

    def add(
        self, action: ir.Action, stop: bool = False, sync: ir.Sync | None = None, line: int = 0
    ) -> Code:
        at = len(self.instrs)
        where = ir.Where((line or at + 1,), f"{self.name}.py", at + 1)
        self.instrs.append(ir.Instr(action, at + 1, where, stop, sync))
        return self

    def label(self, name: str) -> Code:
        self.labels[name] = len(self.instrs)
        return self

    def goto(self, name: str) -> Code:
        """Make the last instruction continue at a label."""
        self.fixups.append((len(self.instrs) - 1, name, False))
        return self

    def branch(self, test: ir.Expr, other: str, stop: bool = False) -> Code:
        """Fall through when the test holds, else go to the label."""
        self.add(ir.Branch(test, -1), stop)
        self.fixups.append((len(self.instrs) - 1, other, True))
        return self

    def get(self, target: ir.Local, var: int, index: ir.Expr | int = 0) -> Code:
        return self.add(ir.Assign(target, shared(var, index)), stop=True)

    def put(self, var: int, value: ir.Expr | int, index: ir.Expr | int = 0) -> Code:
        expr = const(value) if isinstance(value, int) else value
        return self.add(ir.Assign(shared(var, index), expr), stop=True)

    def enter(self, lock: int, nobody: int) -> Code:
        """``mutex_enter`` of the lock whose owner is the shared variable."""
        owner = shared(lock)
        self.add(
            ir.Wait(op("or", op("==", owner, nobody), op("==", owner, self.index)), "mutex"),
            stop=True,
        )
        self.add(ir.Check(op("!=", owner, self.index), "lock-discipline", "recursive"))
        return self.add(
            ir.Assign(owner, const(self.index)), sync=ir.Sync("acquire", lock, 0)
        )

    def exit(self, lock: int, nobody: int) -> Code:
        owner = shared(lock)
        self.add(ir.Check(op("==", owner, self.index), "lock-discipline", "not held"), stop=True)
        return self.add(ir.Assign(owner, const(nobody)), sync=ir.Sync("release", lock, 0))

    def try_enter(self, lock: int, nobody: int, failed: str) -> Code:
        owner = shared(lock)
        self.branch(op("==", owner, nobody), failed, stop=True)
        return self.add(ir.Assign(owner, const(self.index)), sync=ir.Sync("try", lock, 0))

    def sleep(self, channel: int, lock: int, nobody: int) -> Code:
        """Release the lock and wait until ``channel[me]`` is cleared."""
        self.add(
            ir.Assign(shared(lock), const(nobody)), stop=True, sync=ir.Sync("sleep", lock, 0)
        )
        self.add(ir.Assign(shared(channel, self.index), const(1)))
        self.add(ir.Wait(op("==", shared(channel, self.index), 0), "wakeup"), stop=True)
        return self.add(ir.Nop(), sync=ir.Sync("resume"))

    def wakeup(self, channel: int, threads: int) -> Code:
        for thread in range(threads):
            self.add(
                ir.Assign(shared(channel, thread), const(0)),
                stop=thread == 0,
                sync=ir.Sync("wakeup", channel) if thread == 0 else None,
            )
        return self

    def thread(self, daemon: bool = False) -> ir.Thread:
        self.add(ir.End(), stop=False)
        for at, name, other in self.fixups:
            instr = self.instrs[at]
            if other:
                assert isinstance(instr.action, ir.Branch)
                instr.action = ir.Branch(instr.action.test, self.labels[name])
            else:
                instr.next = self.labels[name]
        return ir.Thread(self.name, self.index, self.locals, self.instrs, 0, daemon)


def var(
    name: str, domain: ir.Domain = BIT, initial: tuple[int, ...] = (0,), sync: bool = False,
    ghost: bool = False, phase: ir.Phase | None = None,
) -> ir.SharedVar:  # fmt: skip
    return ir.SharedVar(
        name, domain, len(initial), initial, pure_sync=sync, ghost=ghost, phase=phase
    )


def mutex(name: str, threads: int) -> ir.SharedVar:
    return var(name, ir.Domain("thread", 0, threads), (threads,), sync=True)


def program(
    name: str, variables: list[ir.SharedVar], threads: list[ir.Thread],
    invariants: list[ir.Invariant] | None = None, setup: ir.Thread | None = None,
    witnesses: list[ir.Witness] | None = None,
) -> ir.Program:  # fmt: skip
    return ir.Program(
        name, variables, threads, setup or Code("setup").thread(), invariants or [],
        witnesses or [],
    )  # fmt: skip


def always(name: str, test: ir.Expr, quiet: tuple[tuple[int, int], ...] = ()) -> ir.Invariant:
    return ir.Invariant(name, test, const(1), quiet)


# ------------------------------------------------------------------------- programs


def peterson(broken: bool = False) -> ir.Program:
    """Peterson's mutual exclusion, one round for each of two threads.

    Variables: flag[2], turn, ghost inside[2].
    """
    threads = []
    for me in range(2):
        code = Code(f"p{me}", me)
        flag, turn = code.local("flag"), code.local("turn")
        if not broken:
            code.put(0, 1, me)
        code.put(1, 1 - me)
        code.label("spin").get(flag, 0, 1 - me)
        code.branch(flag, "enter")
        code.get(turn, 1)
        code.branch(op("==", turn, me), "spin")
        code.label("enter").add(ir.Assign(shared(2, me), const(1)))
        code.add(ir.Nop(), stop=True)
        code.add(ir.Assign(shared(2, me), const(0)))
        code.put(0, 0, me)
        threads.append(code.thread())
    both = op("and", shared(2, 0), shared(2, 1))
    exclusion = always("exclusion", ir.Unary("not", both, ir.BOOL))
    variables = [
        var("flag", BIT, (0, 0)), var("turn"), var("inside", BIT, (0, 0), ghost=True)
    ]  # fmt: skip
    return program("peterson", variables, threads, [exclusion])


def counter(threads: int, rounds: int, locked: bool) -> ir.Program:
    """Every thread adds one to a counter some times; at the end the sum is right."""
    made = []
    total = threads * rounds
    for me in range(threads):
        code = Code(f"t{me}", me)
        value, left = code.local("value", number(total)), code.local("left", number(rounds))
        code.add(ir.Assign(left, const(rounds)))
        code.label("loop").branch(op(">", left, 0), "end")
        if locked:
            code.enter(0, threads)
        code.get(value, 1)
        code.put(1, op("+", value, 1))
        if locked:
            code.exit(0, threads)
        code.add(ir.Assign(left, op("-", left, 1))).goto("loop")
        code.label("end")
        made.append(code.thread())
    done = ir.Invariant("sum", op("==", shared(1), total), const(1), terminal_only=True)
    return program(
        "counter", [mutex("m.owner", threads), var("n", number(total))], made, [done]
    )


def crossed(nested: bool = True) -> ir.Program:
    """Two threads that take two mutexes in opposite orders."""
    made = []
    for me in range(2):
        code = Code(f"t{me}", me)
        code.enter(me, 2)
        if not nested:
            code.exit(me, 2)
        code.enter(1 - me, 2)
        code.exit(1 - me, 2)
        if nested:
            code.exit(me, 2)
        made.append(code.thread())
    return program("crossed", [mutex("a.owner", 2), mutex("b.owner", 2)], made)


def handshake(lost: bool) -> ir.Program:
    """One thread waits for a flag that the other sets.

    ``lost``: the sleeper tests the flag without the mutex, so that the wakeup may come too
    early.  Variables: mutex, channel[2], flag.
    """
    waiter = Code("waiter", 0)
    flag = waiter.local("flag")
    if lost:
        waiter.label("again").get(flag, 2)
        waiter.branch(flag, "sleep")
        waiter.add(ir.Nop()).goto("done")
        waiter.label("sleep").enter(0, 2)
        waiter.sleep(1, 0, 2).goto("again")
        waiter.label("done")
    else:
        waiter.enter(0, 2)
        waiter.label("again").get(flag, 2)
        waiter.branch(ir.Unary("not", flag, ir.BOOL), "done")
        waiter.sleep(1, 0, 2)
        waiter.enter(0, 2).goto("again")
        waiter.label("done").exit(0, 2)
    waker = Code("waker", 1)
    waker.enter(0, 2).put(2, 1).wakeup(1, 2).exit(0, 2)
    variables = [mutex("m.owner", 2), var("wchan", BIT, (0, 0), sync=True), var("flag")]
    return program("handshake", variables, [waiter.thread(), waker.thread()])
