"""Random programs that mix everything the reduction has rules for."""

from __future__ import annotations

import random

from genfscheck.checker.lang import ir

from .build import BIT, Code, always, const, mutex, number, op, program, shared, var

# Variables: two mutexes, wait channels, two plain variables, a record of two entries with
# ghost owners guarded by mutex 0, and one of two entries without a guard.
A, B, CHANNEL, X, Y, OWNER, DATA, LOOSE_OWNER, LOOSE, GHOST = range(10)


class Writer:
    """Writes one thread at random."""

    def __init__(self, chance: random.Random, me: int, threads: int) -> None:
        self.chance, self.threads = chance, threads
        self.code = Code(f"t{me}", me)
        self.value = self.code.local("value", number(2))
        self.other = self.code.local("other", number(2))
        self.labels = 0
        self.held: list[int] = []

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def body(self, length: int, depth: int) -> None:
        for _ in range(length):
            kinds = [
                self.read, self.write, self.write, self.local, self.check, self.ghost, self.own,
                self.data, self.loose,
            ]  # fmt: skip
            if depth:
                kinds += [self.section, self.section, self.section, self.branch, self.attempt]
                kinds += [self.wakeup, self.sleep, self.wait, self.loop, self.either]
            self.chance.choice(kinds)(depth)

    def read(self, depth: int) -> None:
        self.code.get(self.chance.choice((self.value, self.other)), self.chance.choice((X, Y)))

    def write(self, depth: int) -> None:
        value = self.chance.choice((const(0), const(1), const(2), self.value))
        self.code.put(self.chance.choice((X, Y)), value)

    def local(self, depth: int) -> None:
        grown = op("%", op("+", self.value, self.other), 3)
        self.code.add(ir.Assign(self.value, grown))

    def check(self, depth: int) -> None:
        if self.chance.random() < 0.3:
            self.code.add(ir.Check(op("!=", self.value, 2), "value", "the value is 2"))

    def ghost(self, depth: int) -> None:
        self.code.add(ir.Assign(shared(GHOST), const(self.chance.randrange(3))))

    def own(self, depth: int) -> None:
        """Change or test the owner of a record, properly or not."""
        entry = self.chance.randrange(2)
        owner = self.chance.choice((OWNER, OWNER, LOOSE_OWNER))
        new = self.chance.choice((self.code.index, self.threads))
        if self.chance.random() < 0.3:
            mine = op("==", shared(owner, entry), self.code.index)
            self.code.add(ir.Branch(mine, len(self.code.instrs) + 1))
        elif A in self.held or owner == LOOSE_OWNER or self.chance.random() < 0.1:
            free = op("==", shared(owner, entry), self.threads)
            mine = op("==", shared(owner, entry), self.code.index)
            skip = self.label()
            self.code.branch(op("or", free, mine), skip, stop=True)
            self.code.add(ir.Assign(shared(owner, entry), const(new)))
            self.code.add(ir.Nop())
            self.code.label(skip)

    def data(self, depth: int) -> None:
        """Touch a record's data where the ghost says that it may be, or without asking."""
        entry = self.chance.randrange(2)
        index: ir.Expr = const(entry)
        if self.chance.random() < 0.2:
            index = op("min", self.other, 1)
        if self.chance.random() < 0.8 and A not in self.held:
            skip = self.label()
            self.code.branch(op("==", shared(OWNER, index), self.code.index), skip)
        else:
            skip = ""
        if self.chance.random() < 0.5:
            self.code.get(self.value, DATA, index)
        else:
            self.code.put(DATA, self.chance.randrange(3), index)
        if skip:
            self.code.add(ir.Nop())
            self.code.label(skip)

    def loose(self, depth: int) -> None:
        entry = self.chance.randrange(2)
        skip = ""
        if self.chance.random() < 0.8:
            skip = self.label()
            self.code.branch(op("==", shared(LOOSE_OWNER, entry), self.code.index), skip)
        if self.chance.random() < 0.5:
            self.code.get(self.value, LOOSE, entry)
        else:
            self.code.put(LOOSE, self.chance.randrange(3), entry)
        if skip:
            self.code.add(ir.Nop())
            self.code.label(skip)

    def section(self, depth: int) -> None:
        free = [lock for lock in (A, B) if lock not in self.held]
        if not free:
            return
        lock = self.chance.choice(free)
        self.code.enter(lock, self.threads)
        self.held.append(lock)
        self.body(self.chance.randint(1, 3), depth - 1)
        if lock in self.held:
            self.held.remove(lock)
            self.code.exit(lock, self.threads)

    def attempt(self, depth: int) -> None:
        if self.held or self.chance.random() < 0.6:
            return
        failed = self.label()
        self.code.try_enter(A, self.threads, failed)
        self.held.append(A)
        self.body(1, depth - 1)
        self.held.remove(A)
        self.code.exit(A, self.threads)
        self.code.add(ir.Nop())
        self.code.label(failed)

    def branch(self, depth: int) -> None:
        other = self.label()
        self.code.branch(op("==", self.value, self.chance.randrange(3)), other)
        self.body(1, depth - 1)
        self.code.add(ir.Nop())
        self.code.label(other)

    def wakeup(self, depth: int) -> None:
        self.code.wakeup(CHANNEL, self.threads)

    def sleep(self, depth: int) -> None:
        if self.held == [A] and self.chance.random() < 0.4:
            self.code.sleep(CHANNEL, A, self.threads)
            self.code.enter(A, self.threads)

    def wait(self, depth: int) -> None:
        which = self.chance.random()
        if which < 0.15:
            self.code.add(ir.Wait(op("!=", shared(X), 0), "x"), stop=True)
        elif which < 0.4 and A not in self.held:
            free = op("==", shared(A), self.threads)
            self.code.add(ir.Wait(op("or", op("==", self.value, 1), free), "free"), stop=True)
            skip = self.label()
            self.code.branch(op("!=", self.value, 1), skip)
            self.code.add(ir.Assign(shared(Y), op("%", op("+", shared(Y), 1), 3)))
            self.code.add(ir.Nop())
            self.code.label(skip)

    def loop(self, depth: int) -> None:
        if self.chance.random() < 0.5:
            return
        again, done = self.label(), self.label()
        left = self.code.local("left", number(2))
        self.code.add(ir.Assign(left, const(2)))
        self.code.label(again).branch(op(">", left, 0), done)
        self.body(1, 0)
        self.code.add(ir.Assign(left, op("-", left, 1))).goto(again)
        self.code.label(done)

    def either(self, depth: int) -> None:
        count: ir.Expr = const(2)
        if self.chance.random() < 0.2:
            count = self.other
        self.code.add(ir.Choose(self.value, count, "either"), stop=self.chance.random() < 0.7)


def random_program(seed: int) -> ir.Program:
    """A program of two or three threads; the same for every run."""
    chance = random.Random(seed)
    threads = chance.choice((2, 2, 2, 3))
    made = []
    for me in range(threads):
        writer = Writer(chance, me, threads)
        writer.body(chance.randint(2, 5), 2)
        made.append(writer.code.thread(daemon=chance.random() < 0.1))
    owner = ir.Domain("thread", 0, threads)
    phase = ir.Phase(OWNER, threads, A)
    loose = ir.Phase(LOOSE_OWNER, threads)
    nobody = (threads, threads)
    variables = [
        mutex("a.owner", threads),
        mutex("b.owner", threads),
        var("wchan", BIT, (0,) * threads, sync=True),
        var("x", number(2)),
        var("y", number(2)),
        var("r.owner", owner, nobody, ghost=True, phase=phase),
        var("r.data", number(2), (0, 0), phase=phase),
        var("s.owner", owner, nobody, ghost=True, phase=loose),
        var("s.data", number(2), (0, 0), phase=loose),
        var("ghost", number(2), ghost=True),
    ]
    invariants = []
    if chance.random() < 0.3:
        invariants.append(always("x-and-y", op("!=", op("+", shared(X), shared(Y)), 4)))
    if chance.random() < 0.3:
        differ = op("!=", op("+", shared(X), shared(Y)), 3)
        free = op("==", shared(A), threads)
        invariants.append(ir.Invariant("quiet", differ, free, ((A, 0),)))
    if chance.random() < 0.2:
        last = op("!=", shared(Y), 1)
        invariants.append(ir.Invariant("last", last, const(1), terminal_only=True))
    return program(f"random-{seed}", variables, made, invariants)
