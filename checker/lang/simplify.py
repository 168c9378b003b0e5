"""Constant propagation over a thread's graph, and the clean-up that follows it."""

from __future__ import annotations

from dataclasses import replace

from . import fold, ir

# What a local may hold at a node: a constant, or anything (None).
Facts = dict[int, int | None]


def simplify(program: ir.Program) -> ir.Program:
    """Replace locals that are constant wherever they are read; drop what becomes unreachable."""
    return replace(program, threads=[propagate(thread) for thread in program.threads])


def substitute(expr: ir.Expr, known: Facts, domains: list[ir.LocalVar]) -> ir.Expr:
    """The expression with known locals as constants, folded."""
    match expr:
        case ir.Local(var, None):
            value = known.get(var)
            return expr if value is None else ir.Const(value, domains[var].domain.ctype)
        case ir.Local(var, index) if index is not None:
            return ir.Local(var, substitute(index, known, domains))
        case ir.Shared(var, index):
            return ir.Shared(var, substitute(index, known, domains))
        case ir.Unary(op, operand, ctype):
            return fold.unary(op, substitute(operand, known, domains), ctype)
        case ir.Binary(op, left, right, ctype):
            one, two = substitute(left, known, domains), substitute(right, known, domains)
            try:
                return fold.binary(op, one, two, ctype)
            except ZeroDivisionError:
                return ir.Binary(op, one, two, ctype)
        case ir.Cond(test, then, other):
            return fold.cond(*(substitute(part, known, domains) for part in (test, then, other)))
        case ir.ListNext(ref, node):
            return ir.ListNext(_list(ref, known, domains), substitute(node, known, domains))
    return expr


def _list(ref: ir.ListRef, known: Facts, domains: list[ir.LocalVar]) -> ir.ListRef:
    return ir.ListRef(ref.var, substitute(ref.base, known, domains), ref.capacity, ref.empty)


def rewrite(action: ir.Action, known: Facts, domains: list[ir.LocalVar]) -> ir.Action:
    """The action with known locals as constants."""

    def sub(expr: ir.Expr) -> ir.Expr:
        return substitute(expr, known, domains)

    match action:
        case ir.Assign(ir.Local(var, index), value):
            target = ir.Local(var, None if index is None else sub(index))
            return ir.Assign(target, sub(value))
        case ir.Assign(ir.Shared(var, index), value):
            return ir.Assign(ir.Shared(var, sub(index)), sub(value))
        case ir.Branch(test, other):
            return ir.Branch(sub(test), other)
        case ir.Choose(target, count, label):
            return ir.Choose(target, sub(count), label)
        case ir.Wait(guard, reason, rest):
            return ir.Wait(sub(guard), reason, rest)
        case ir.Check(test, name, message):
            return ir.Check(sub(test), name, message)
        case ir.ListInsert(ref, where, node, anchor):
            return ir.ListInsert(_list(ref, known, domains), where, sub(node),
                                 None if anchor is None else sub(anchor))
        case ir.ListRemove(ref, node):
            return ir.ListRemove(_list(ref, known, domains), sub(node))
    return action


def _after(action: ir.Action, facts: Facts, locals_: list[ir.LocalVar]) -> Facts:
    match action:
        case ir.Assign(ir.Local(var, None), value):
            folded = substitute(value, facts, locals_)
            result = dict(facts)
            constant = folded.value if isinstance(folded, ir.Const) else None
            domain = locals_[var].domain
            if constant is not None and not domain.low <= constant <= domain.high:
                constant = None  # the store will be reported; nothing follows from it
            result[var] = constant
            return result
        case ir.Choose(ir.Local(var, None), _, _):
            return {**facts, var: None}
    return facts


def propagate(thread: ir.Thread) -> ir.Thread:
    """Conditional constant propagation (Wegman and Zadeck 1991) for scalar locals."""
    code = thread.code
    facts: list[Facts | None] = [None] * len(code)
    facts[thread.entry] = {}
    work = [thread.entry]
    while work:
        node = work.pop()
        before = facts[node]
        assert before is not None
        instr = code[node]
        after = _after(instr.action, before, thread.locals)
        for successor in _taken(instr, before, thread.locals):
            known = facts[successor]
            merged = after if known is None else _meet(known, after)
            if merged != known:
                facts[successor] = dict(merged)
                work.append(successor)
    order = [node for node in range(len(code)) if facts[node] is not None]
    result: list[ir.Instr] = []
    for node in order:
        instr, known = code[node], facts[node]
        assert known is not None
        action = rewrite(instr.action, known, thread.locals)
        onward = instr.next
        match action:
            case ir.Branch(ir.Const(value), other):
                action, onward = ir.Nop(), instr.next if value else other
            case ir.Check(ir.Const(value)) | ir.Wait(ir.Const(value)) if value:
                action = ir.Nop()
        stop = instr.fine_stop
        result.append(replace(instr, action=action, next=onward, fine_stop=stop))
    numbers = {node: position for position, node in enumerate(order)}
    for instr in result:
        if not isinstance(instr.action, ir.End):
            instr.next = numbers[instr.next]
        if isinstance(instr.action, ir.Branch):
            instr.action = ir.Branch(instr.action.test, numbers[instr.action.other])
    return _compact(replace(thread, code=result, entry=numbers[thread.entry]))


def _meet(one: Facts, two: Facts) -> Facts:
    """What holds on both paths.  An unbound local has no fact and takes the other path's."""
    result = dict(one)
    for var, value in two.items():
        if var not in result:
            result[var] = value
        elif result[var] != value:
            result[var] = None
    return result


def _taken(instr: ir.Instr, facts: Facts, locals_: list[ir.LocalVar]) -> tuple[int, ...]:
    match instr.action:
        case ir.Branch(test, other):
            folded = substitute(test, facts, locals_)
            if isinstance(folded, ir.Const):
                return (instr.next if folded.value else other,)
        case ir.Check(test):
            folded = substitute(test, facts, locals_)
            if fold.is_const(folded, 0):
                return (instr.next,)
    return instr.successors()


def _compact(thread: ir.Thread) -> ir.Thread:
    """Drop empty nodes and renumber in a depth-first order; drop unused locals."""
    code = thread.code

    def resolve(node: int) -> int:
        seen = set()
        while (
            isinstance(code[node].action, ir.Nop)
            and not code[node].fine_stop
            and code[node].sync is None
            and node not in seen
        ):
            seen.add(node)
            node = code[node].next
        return node

    entry = resolve(thread.entry)
    order: dict[int, int] = {}
    stack = [entry]
    while stack:
        node = stack.pop()
        if node in order:
            continue
        order[node] = len(order)
        instr = code[node]
        if isinstance(instr.action, ir.End):
            continue
        instr.next = resolve(instr.next)
        if isinstance(instr.action, ir.Branch):
            instr.action = ir.Branch(instr.action.test, resolve(instr.action.other))
            stack.append(instr.action.other)
        stack.append(instr.next)
    return replace(thread, code=ir.renumber(code, order), entry=order[entry])
