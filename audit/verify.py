#!/usr/bin/env python3
"""An independent validator of opsgate's audit log, in Python's standard library alone.

It shares no code with the Rust validator and works another way (data is parsed and written again, and must come out the same), so that
one's mistakes are not the other's. Findings have the same names, files, lines and byte offsets.

    python3 verify.py ~/.local/state/opsgate/audit
    python3 verify.py --receipts kept.jsonl --require-anchor ~/.local/state/opsgate/audit
    python3 verify.py --head ~/.local/state/opsgate/head ~/.local/state/opsgate/audit

Exit codes: 0 nothing found, 1 something found (or no anchor where one is required), 2 wrong usage or nothing to read.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import os
import re
import stat
import sys
import time

MAX_LINE = 64 * 1024
MAX_NOTE_LINE = 512
MAX_DEPTH = 64
MAX_INTEGER = 1 << 53
MAX_OPEN = 1 << 18
KEPT = 1000
SHOWN = 20
SHOWN_RANGES = 3
MAX_RECEIPT = 4096
CALL_LIMIT = 15 * 60 * 1_000_000
CHECKPOINT_LIMIT = 60 * 1_000_000

# Type -> whether an entry of it carries the ids of a call: True, False, or None for either.
TYPES = {
    "call.intent": True, "call.outcome": True, "call.refused": True,
    "genesis": False, "heartbeat": False, "clock.jump": False, "segment.begin": False, "segment.end": False,
    "policy.rejected": False,
    "policy.loaded": None, "key.rotated": None, "log.recovered": None, "log.restored": None, "data.erased": None, "log.pruned": None,
}
APPROVAL = re.compile(r"approval\.[a-z_]{1,32}\Z")


class Unusable(Exception):
    """Nothing can be checked."""


class Fault(Exception):
    """One line is wrong."""

    def __init__(self, code, what):
        super().__init__(what)
        self.code, self.what = code, what


# --- Ed25519 (RFC 8032), verification only -------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def point_add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_double(p):
    a, b, c = p[0] * p[0] % P, p[1] * p[1] % P, 2 * p[2] * p[2] % P
    h = a + b
    e = h - (p[0] + p[1]) * (p[0] + p[1]) % P
    g = a - b
    f = c + g
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_decompress(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def point_compress(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def is_small_order(p):
    for _ in range(3):
        p = point_double(p)
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


BASE = point_decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    """The strict form: canonical encodings, no points of small order."""
    a = point_decompress(public)
    s = int.from_bytes(signature[32:], "little")
    if a is None or s >= L or is_small_order(a):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], 1, P - a[3])
    table = (None, BASE, minus_a, point_add(BASE, minus_a))
    r = IDENTITY
    for bit in range(252, -1, -1):
        r = point_double(r)
        choice = (s >> bit & 1) | (h >> bit & 1) << 1
        if choice:
            r = point_add(r, table[choice])
    return point_compress(r) == signature[:32] and not is_small_order(r)


# --- the Merkle tree of RFC 6962 -----------------------------------------------------------------------------------------------------


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


class Tree:
    def __init__(self):
        self.size, self.peaks = 0, []

    def push(self, entry_hash):
        node, size = sha256(b"\0", entry_hash), self.size
        while size & 1:
            node, size = sha256(b"\1", self.peaks.pop(), node), size >> 1
        self.peaks.append(node)
        self.size += 1

    def root(self):
        if not self.peaks:
            return sha256()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = sha256(b"\1", peak, root)
        return root


# --- files ---------------------------------------------------------------------------------------------------------------------------


def open_regular(path):
    """Opens a regular file, and nothing that could make a reader hang or read something else: no link, FIFO or device."""
    regular = stat.S_ISREG(os.lstat(path).st_mode)
    if regular:
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise Unusable(f"`{path}` cannot be read: it is not a regular file, but a link, a FIFO, a device or a folder")


# --- lines ---------------------------------------------------------------------------------------------------------------------------


def read_lines(file, limit):
    """Yields (number, offset, kind, bytes); kind is whole, torn or long. Then (number, offset, end, b"").

    Lines that begin after the file's present end are not read: a log may be written while it is checked, and its checkpoints are opened
    first, so that they never cover more than what is read of the entries.
    """
    number, offset, until = 1, 0, os.fstat(file.fileno()).st_size
    while True:
        line = file.readline(limit) if offset < until else b""
        if not line:
            yield number, offset, "end", b""
            return
        length, kind = len(line), "whole"
        if not line.endswith(b"\n"):
            kind = "torn"
            if length == limit:
                while rest := file.readline(1 << 16):
                    kind = "long"
                    length += len(rest)
                    if rest.endswith(b"\n"):
                        break
        yield number, offset, kind, line.removesuffix(b"\n") if kind == "whole" else line
        number, offset = number + 1, offset + length


# --- one entry -----------------------------------------------------------------------------------------------------------------------

UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UUID7 = rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
HEAD = re.compile(
    rb'\{"v":1,"log":"(?P<log>[A-Za-z0-9._/:@~-]{1,128})","seq":(?P<seq>0|[1-9][0-9]{0,19}),"prev_hash":"(?P<prev>[0-9a-f]{64})",'
    rb'"ts":"(?P<ts>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z","boot":"(?P<boot>' + UUID + rb')",'
    rb'"mono_ns":(?P<mono>0|[1-9][0-9]{0,19}),"type":"(?P<type>[^"]*)"'
    rb'(?:,"request_id":"(?P<request>' + UUID7 + rb')","correlation_id":"(?P<trace>[0-9a-f]{32})")?,"data":'
)
TAIL = re.compile(rb',"entry_hash":"([0-9a-f]{64})"\}\Z')
TAIL_LENGTH = len(b',"entry_hash":""}') + 64
GENESIS = re.compile(rb'\{"nonce":"([0-9a-f]{64})","public_key":"([0-9a-f]{64})"\}\Z')
CONTROL = re.compile(rb"[\x00-\x1f]")
EPOCH = datetime.datetime(1970, 1, 1)


class Entry:
    __slots__ = ("log", "seq", "prev", "ts", "micros", "boot", "mono_ns", "type", "request_id", "data", "entry_hash", "computed")


def parse_entry(line):
    if line.startswith(b"\xef\xbb\xbf"):
        raise Fault("encoding", "a byte order mark")
    if control := CONTROL.search(line):
        raise Fault("encoding", f"the byte {control[0][0]} at byte {control.start()} of the line")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise Fault("encoding", f"invalid UTF-8 at byte {error.start} of the line") from None
    head = HEAD.match(line)
    if not head:
        raise Fault("malformed", "the line is not an entry: a key is unknown, missing or out of order, or a value has the wrong shape")
    entry = Entry()
    entry.log, entry.type = head["log"].decode(), head["type"].decode()
    entry.seq, entry.mono_ns = int(head["seq"]), int(head["mono"])
    entry.prev, entry.boot, entry.request_id = bytes.fromhex(head["prev"].decode()), head["boot"], head["request"]
    if entry.seq >= 1 << 64 or entry.mono_ns >= 1 << 64:
        raise Fault("malformed", "a number is too large")
    try:
        moment = datetime.datetime.strptime(head["ts"].decode(), "%Y-%m-%dT%H:%M:%S.%f")
    except ValueError:
        raise Fault("malformed", "`ts` is no time") from None
    if moment < EPOCH or moment.second > 59:
        raise Fault("malformed", "`ts` is no time")
    entry.ts = head["ts"].decode() + "Z"
    entry.micros = (moment - EPOCH) // datetime.timedelta(microseconds=1)
    tail = TAIL.search(line, max(head.end(), len(line) - TAIL_LENGTH))
    entry.data = line[head.end() : len(line) - TAIL_LENGTH if tail else None]
    if not tail:
        # Nothing can be right any more; but where the data is at fault too, that comes first.
        raise Fault("malformed", "after `data` come `entry_hash` and the line's end, and nothing else")
    check_data(entry.data.decode())
    wants_ids = None if APPROVAL.match(entry.type) else TYPES.get(entry.type, "unknown")
    if wants_ids == "unknown":
        raise Fault("type", f"the type `{entry.type[:40]}` is not known")
    if wants_ids is not None and wants_ids != (entry.request_id is not None):
        raise Fault("type", f"a `{entry.type}` {'without' if wants_ids else 'with'} the ids of a call")
    entry.entry_hash = bytes.fromhex(tail[1].decode())
    entry.computed = sha256(b"opsgate-audit/v1/entry\n", line[: tail.start()])
    return entry


def check_data(text):
    """Parses the data and writes it again, canonically: it must come out the same."""
    if not text.startswith("{"):
        raise Fault("not_canonical" if text.startswith(" ") else "malformed", "`data` is not an object")
    if text.count("{") + text.count("[") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        raise Fault("too_deep", f"`data` is nested more than {MAX_DEPTH} levels deep")
    try:
        value = json.loads(text, object_pairs_hook=members, parse_int=integer, parse_float=no_number, parse_constant=no_number)
    except ValueError as error:
        raise Fault("malformed", f"`data` is not JSON: {error}") from None
    try:
        same = canonical(value).encode() == text.encode()
    except UnicodeEncodeError:
        same = False
    if not same:
        raise Fault("not_canonical", "`data` is not in canonical form (RFC 8785)")


def depth(text):
    deepest = now = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if token[0] in "[{":
            now += 1
            deepest = max(deepest, now)
        elif token[0] in "]}":
            now -= 1
    return deepest


def members(pairs):
    keys = [key.encode("utf-16-be", "surrogatepass") for key, _ in pairs]
    for before, after in zip(keys, keys[1:]):
        if before == after:
            raise Fault("duplicate_key", "a key of `data` is there twice")
        if before > after:
            raise Fault("not_canonical", "the keys of `data` are not in order")
    return dict(pairs)


def integer(text):
    if text == "-0" or len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        return no_number(text)
    return int(text)


def no_number(text):
    raise Fault("number", f"`{text[:40]}` is not a plain integer of magnitude at most 2^53")


def canonical(value):
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(member) for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


# --- checkpoints ---------------------------------------------------------------------------------------------------------------------

ORIGIN = re.compile(r"[A-Za-z0-9._/:@~-]{1,128}\Z")


class Note:
    def __init__(self, lines):
        try:
            origin, size, root, empty, signature = (line.decode() for line in lines)
        except UnicodeDecodeError:
            raise ValueError from None
        if empty or not ORIGIN.match(origin) or not re.match(r"(0|[1-9][0-9]{0,19})\Z", size) or int(size) >= 1 << 64:
            raise ValueError
        mark, signer, blob = signature.split(" ", 2)
        self.root, blob = unbase64(root), unbase64(blob)
        if mark != "\u2014" or len(self.root) != 32 or len(blob) != 68:
            raise ValueError
        self.origin, self.size, self.signer, self.key_id, self.signature = origin, int(size), signer, blob[:4], blob[4:]
        self.text = "".join(line + "\n" for line in (origin, size, root)).encode()

    def fault(self, public):
        key_id = sha256(self.signer.encode(), b"\n\x01", public)[:4]
        if self.signer != self.origin or self.key_id != key_id or point_decompress(public) is None:
            return "checkpoint_key", "signed by a key that is not the log's"
        if not ed25519_verify(public, self.text, self.signature):
            return "checkpoint_signature", "the signature does not fit"
        return None


def unbase64(text):
    decoded = base64.b64decode(text, validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise ValueError
    return decoded


class Checkpoints:
    def __init__(self, path, report):
        self.report, self.count, self.size, self.before, self.diverged, self.fault = report, 0, 0, None, False, None
        self.lines = read_lines(open_regular(path), MAX_NOTE_LINE) if path else None
        self.next = None
        # The first read fixes how far the file is read.
        self.read()

    def read(self):
        self.next = None
        if self.lines is None or self.fault:
            return
        begin, lines = None, []
        while len(lines) < 5:
            number, offset, kind, line = next(self.lines)
            begin = begin or (number, offset)
            if kind != "whole":
                if lines or kind != "end":
                    self.fault = (begin, "the checkpoint is torn")
                return
            lines.append(line)
        try:
            self.next = (begin, Note(lines))
        except (ValueError, binascii.Error):
            self.fault = (begin, "this is not a signed checkpoint")

    def at_size(self, tree, log):
        found = False
        while self.next and self.next[1].size <= tree.size:
            at, note = self.next
            if note.size == tree.size:
                found = True
                if not self.diverged and note.root != tree.root() and not self.forks(note):
                    self.diverged = True
                    self.report.found("checkpoint_root", "checkpoints", *at, f"the first {tree.size} entries do not have the root that was signed")
            self.check(at, note, log)
        return found

    def drain(self, log):
        beyond = None
        while self.next:
            at, note = self.next
            beyond = max(beyond or 0, note.size)
            self.check(at, note, log)
        if self.fault:
            self.report.found("checkpoint_format", "checkpoints", *self.fault[0], self.fault[1])
        return beyond

    def forks(self, note):
        return self.before is not None and self.before[0] == note.size and self.before[1] != note.root

    def check(self, at, note, log):
        if self.before == (note.size, note.root):
            self.report.found("checkpoint_repeat", "checkpoints", *at, f"a second checkpoint of the same {note.size} entries")
            self.read()
            return
        self.count += 1
        if log.origin is not None and note.origin != log.origin:
            self.report.found("checkpoint_origin", "checkpoints", *at, f"a checkpoint of the log `{note.origin}`")
        elif log.public is not None and self.report.total < KEPT and (fault := note.fault(log.public)):
            # Past a thousand findings signatures are not checked: whoever fills the file cannot keep its reader busy.
            self.report.found(fault[0], "checkpoints", *at, fault[1])
        if self.forks(note):
            self.report.found("checkpoint_fork", "checkpoints", *at, f"a second root for {note.size} entries")
        elif self.before is not None and note.size < self.before[0]:
            self.report.found("checkpoint_order", "checkpoints", *at, f"a checkpoint of {note.size} entries after one of more")
        else:
            self.before = (note.size, note.root)
        self.size = max(self.size, note.size)
        self.read()


class Head:
    """The high-water mark, which the gateway keeps outside of the log's folder."""

    def __init__(self, path):
        self.name, self.root = os.path.basename(path), None
        with open_regular(path) as file:
            lines = file.read(5 * MAX_NOTE_LINE).split(b"\n")
        try:
            if len(lines) != 6 or lines.pop():
                raise ValueError
            self.note = Note(lines)
        except (ValueError, binascii.Error):
            raise Unusable(f"`{path}` is not a high-water mark: one signed checkpoint, five lines") from None

    def at_size(self, tree):
        if tree.size == self.note.size:
            self.root = tree.root()

    def finish(self, log):
        note, found = self.note, log.report.found
        if log.origin is not None and note.origin != log.origin:
            found("checkpoint_origin", self.name, 1, 0, f"a checkpoint of the log `{note.origin}`")
        elif log.public is not None and (fault := note.fault(log.public)):
            found(fault[0], self.name, 1, 0, fault[1])
        elif note.size > log.tree.size:
            found("truncated", *log.end, f"the high-water mark covers {note.size} entries, and {log.tree.size} are here: the log's end is missing")
        elif self.root is not None and self.root != note.root:
            found("checkpoint_root", self.name, 1, 0, "the log's first entries, as many as it covers, do not have the root that was signed")


# --- the log -------------------------------------------------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.findings, self.total = [], 0

    def found(self, code, file, line, offset, what):
        self.total += 1
        if len(self.findings) < KEPT:
            self.findings.append({"code": code, "file": file, "line": line, "offset": offset, "what": what})


class Log:
    """Follows the chain entry by entry."""

    def __init__(self, report, head, checkpoints, receipts, key, partial, now):
        self.report, self.checkpoints, self.receipts, self.key, self.partial, self.now = report, checkpoints, receipts, key, partial, now
        self.head, self.unsigned = head, []
        self.origin = self.public = self.run = self.uncovered = None
        self.next, self.lost = None, False
        self.earlier_runs, self.open, self.tree = set(), {}, Tree()
        self.entries = self.bytes = self.intents = self.refusals = self.indeterminate = 0
        self.first_ts = self.last_ts = self.anchored_to = None
        self.end = ("00000001.jsonl", 1, 0)

    def segment(self, path):
        name = os.path.basename(path)
        with open_regular(path) as file:
            for number, offset, kind, line in read_lines(file, MAX_LINE):
                place = (name, number, offset)
                self.end = place
                if kind == "end":
                    self.bytes += offset
                    return
                try:
                    if kind == "torn":
                        raise Fault("torn_line", f"the last line has no end: {len(line)} bytes")
                    if kind == "long":
                        raise Fault("line_too_long", f"the line is longer than {MAX_LINE} bytes")
                    entry = parse_entry(line)
                except Fault as fault:
                    self.next, self.lost = None, True
                    self.report.found(fault.code, *place, fault.what)
                    if kind != "torn":
                        # An entry was here: those after it keep their places in the tree, whose root cannot be right any more.
                        self.leaf(bytes(32))
                else:
                    self.entry(entry, place)

    def entry(self, entry, place):
        def found(code, what):
            self.report.found(code, *place, what)

        partial = self.partial
        if entry.computed != entry.entry_hash:
            found("entry_hash", f"the entry's bytes hash to {entry.computed.hex()}")
        if self.next is None and not self.lost:
            self.begin(entry, found)
        elif self.next is not None:
            if entry.type == "genesis":
                found("genesis", "a second genesis")
            if entry.seq != self.next[0]:
                found("seq", f"entry {entry.seq} stands where entry {self.next[0]} belongs")
            if entry.prev != self.next[1]:
                found("prev_hash", f"`prev_hash` is not the hash of the entry before, {self.next[1].hex()}")
        if self.origin is None:
            self.origin = entry.log
        elif self.origin != entry.log:
            found("other_log", f"the entry is of the log `{entry.log}`, this is `{self.origin}`")
        self.clock(entry, found)
        self.next, self.lost = (min(entry.seq + 1, (1 << 64) - 1), entry.entry_hash), False
        if self.entries == 0:
            self.partial = self.partial and entry.type != "genesis"
            if self.key is not None and self.public is not None and self.key != self.public:
                found("key", f"the log's key is {self.public.hex()}")
        self.pair(entry, place, found, partial)
        if entry.type == "log.recovered":
            self.recovered(entry, found)
        for origin, entry_hash, line in self.receipts.pop(entry.seq, ()):
            if origin == entry.log and entry_hash == entry.computed:
                self.anchored_to = max(self.anchored_to or 0, entry.seq)
            else:
                found("receipt", f"the receipt in line {line} is for the log `{origin}` and the hash {entry_hash.hex()}")
        self.count(entry)
        self.uncovered = self.uncovered or (place, entry.micros)
        self.leaf(entry.computed)

    def leaf(self, entry_hash):
        self.tree.push(entry_hash)
        if self.head:
            self.head.at_size(self.tree)
        if not self.partial and self.checkpoints.at_size(self.tree, self):
            self.uncovered = None

    def begin(self, entry, found):
        if entry.type != "genesis" or entry.seq != 0:
            if not self.partial:
                found("genesis", f"the log begins with entry {entry.seq}, a `{entry.type}`, and not with its genesis")
            return
        data = GENESIS.match(entry.data)
        if not data:
            found("genesis", "the genesis does not name a key and a nonce")
            return
        nonce, public = (bytes.fromhex(part.decode()) for part in data.groups())
        if sha256(b"opsgate-audit/v1/genesis\n", entry.log.encode(), b"\n", public, nonce) != entry.prev:
            found("genesis", "the genesis does not commit to its log's name, key and nonce")
            return
        self.public = public

    def clock(self, entry, found):
        if self.run is not None and self.run[0] == entry.boot:
            if entry.mono_ns < self.run[1]:
                found("monotonic", f"`mono_ns` went back from {self.run[1]} within one run")
        else:
            if self.run is not None:
                self.earlier_runs.add(self.run[0])
            if entry.boot in self.earlier_runs:
                found("boot_reused", "`boot` is the id of an earlier run")
        self.run = (entry.boot, entry.mono_ns)

    def pair(self, entry, place, found, partial):
        call = entry.request_id
        if entry.type == "call.intent":
            if call not in self.open and len(self.open) >= MAX_OPEN:
                found("intent_without_outcome", f"more than {MAX_OPEN} calls are open here: this one is not followed")
                return
            if call in self.open:
                found("duplicate_intent", "a second intent of a call that is open")
            self.open[call] = (entry.seq, entry.micros, len(self.earlier_runs), place)
        elif entry.type == "call.outcome" and self.open.pop(call, None) is None and not partial:
            found("outcome_without_intent", "an outcome of no open call: it has no intent, or has its outcome already")

    def recovered(self, entry, found):
        """Entries that nothing had signed when their writer ended: they stand right before the first entry of the next run."""
        data = json.loads(entry.data)
        first, last = data.get("unsigned_from"), data.get("unsigned_to")
        if first is None and last is None:
            return
        if type(first) is not int or type(last) is not int or not 0 <= first <= last or last + 1 != entry.seq:
            found("malformed", "`unsigned_from` and `unsigned_to` are not the entries right before this one")
            return
        # A tail that nothing had signed may itself hold an announcement, a true one or a forged one: what overlaps counts once.
        while self.unsigned and self.unsigned[-1][1] >= first:
            first = min(first, self.unsigned.pop()[0])
        self.unsigned.append([first, last])

    def count(self, entry):
        self.entries += 1
        self.first_ts, self.last_ts = self.first_ts or entry.ts, entry.ts
        self.intents += entry.type == "call.intent"
        self.refusals += entry.type == "call.refused"
        self.indeterminate += entry.type == "call.outcome" and b'"outcome":"indeterminate"' in entry.data

    def finish(self):
        found = self.report.found
        if not self.partial:
            beyond = self.checkpoints.drain(self)
            if beyond is not None:
                found("truncated", *self.end, f"a signed checkpoint covers {beyond} entries, and {self.tree.size} are here")
            if self.checkpoints.count == 0 and not self.checkpoints.fault:
                found("no_checkpoints", "checkpoints", 0, 0, "the log has no checkpoints: nothing was signed")
            if self.uncovered and self.checkpoints.count and beyond is None and self.now - self.uncovered[1] > CHECKPOINT_LIMIT:
                found("uncovered", *self.uncovered[0], "no checkpoint covers this entry and those after it, and it is older than a minute: "
                      "the newest checkpoints are missing, or the gateway was killed and has not started since")
            if self.head:
                self.head.finish(self)
        still_open = 0
        for _, micros, run, place in sorted(self.open.values()):
            if run < len(self.earlier_runs):
                found("intent_without_outcome", *place, "an intent of an earlier run that has no outcome")
            elif self.now - micros > CALL_LIMIT:
                found("intent_without_outcome", *place, "an intent that has no outcome and is older than 15 minutes")
            else:
                still_open += 1
        for seq in sorted(self.receipts):
            for _, _, line in self.receipts[seq]:
                found("truncated", *self.end, f"the receipt in line {line} is for entry {seq}, which is not here")
        return {
            "origin": self.origin, "public_key": self.public.hex() if self.public else None, "entries": self.entries, "bytes": self.bytes,
            "first_ts": self.first_ts, "last_ts": self.last_ts, "intents": self.intents, "refusals": self.refusals,
            "indeterminate": self.indeterminate, "open": still_open, "checkpoints": self.checkpoints.count,
            "checkpointed": min(self.checkpoints.size, self.tree.size), "anchored_to": self.anchored_to, "partial": self.partial,
            "unsigned": min(sum(last - first + 1 for first, last in self.unsigned), (1 << 64) - 1), "unsigned_ranges": self.unsigned[:KEPT],
            "total_findings": self.report.total, "findings": self.report.findings,
        }


def find_files(paths, report):
    """Segments, checkpoints, and whether it is a whole log."""
    if len(paths) == 1 and os.path.isdir(paths[0]):
        return find_in_folder(paths[0], report)
    if any(os.path.isdir(path) for path in paths):
        raise Unusable("give one folder, or segment files in their order")
    checkpoints = os.path.join(os.path.dirname(paths[0]), "checkpoints")
    return paths, checkpoints if os.path.lexists(checkpoints) else None, False


def find_in_folder(folder, report):
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl") and name != ".jsonl")
    checkpoints = os.path.join(folder, "checkpoints")
    checkpoints = checkpoints if os.path.lexists(checkpoints) else None
    if not names and not checkpoints:
        raise Unusable(f"there is no audit log in `{folder}`: it has neither `*.jsonl` nor `checkpoints`")
    segments, expected = [], 1
    for name in names:
        if not re.match(r"[0-9]{8}\.jsonl\Z", name):
            report.found("segment", name, 0, 0, "the file is not named as a segment, eight digits and `.jsonl`; it was not read")
            continue
        if int(name[:8]) != expected:
            report.found("segment", f"{expected:08}.jsonl", 0, 0, f"the segment is missing; the next one here is `{name}`")
        expected = int(name[:8]) + 1
        segments.append(os.path.join(folder, name))
    if not segments:
        report.found("segment", "00000001.jsonl", 0, 0, "the log has checkpoints and no entries")
    return segments, checkpoints, True


def read_receipts(path):
    receipts = {}
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(MAX_RECEIPT + 1):
            number += 1
            if line == b"\n":
                continue
            try:
                origin, seq, entry_hash = parse_receipt(line)
            except (ValueError, RecursionError):
                raise Unusable(
                    f'`{path}`, line {number}: this is not a receipt; one is {{"origin":…,"seq":…,"entry_hash":…}}'
                ) from None
            receipts.setdefault(seq, []).append((origin, entry_hash, number))
    return receipts


def parse_receipt(line):
    """Strictly an object of the three members, so that no two readers can read one receipt differently."""
    if len(line) > MAX_RECEIPT:
        raise ValueError
    # As text: from bytes, `json` would take a byte order mark and UTF-16 as well.
    value = json.loads(line.decode(), object_pairs_hook=receipt_members, parse_int=receipt_integer, parse_float=not_in_a_receipt,
                       parse_constant=not_in_a_receipt)
    if not isinstance(value, dict):
        raise ValueError
    origin, seq, entry_hash = value["origin"], value["seq"], value["entry_hash"]
    if type(seq) is not int or not isinstance(origin, str) or not isinstance(entry_hash, str) or not re.match(r"[0-9a-f]{64}\Z", entry_hash):
        raise ValueError
    origin.encode()  # a lone surrogate is no text
    return origin, seq, bytes.fromhex(entry_hash)


def receipt_members(pairs):
    if sorted(key for key, _ in pairs) != ["entry_hash", "origin", "seq"]:
        raise ValueError
    return dict(pairs)


def receipt_integer(text):
    if text.startswith("-") or len(text) > 20 or int(text) >= 1 << 64:
        raise ValueError
    return int(text)


def not_in_a_receipt(_text):
    raise ValueError


def verify(paths, receipts=None, key=None, head=None, now=None):
    """Checks a log and returns the report as a dict."""
    report = Report()
    now = time.time_ns() // 1000 if now is None else now
    segments, checkpoints, whole = find_files(paths, report)
    # The mark before the checkpoints, and those before the entries: then neither covers more than what is read after it.
    head = Head(head) if head else None
    log = Log(report, head, Checkpoints(checkpoints, report), read_receipts(receipts) if receipts else {}, key, not whole, now)
    for segment in segments:
        log.segment(segment)
    return log.finish()


def show(result):
    for finding in result["findings"][:SHOWN]:
        print("{file}:{line} (byte {offset}): {code}: {what}".format(**finding))
    if result["total_findings"] > SHOWN:
        print(f"… and {result['total_findings'] - SHOWN} more (--json has a thousand)")
    print("log         {}  key {}".format(result["origin"] or "-", result["public_key"] or "-"))
    print("entries     {} ({} bytes), {} to {}".format(result["entries"], result["bytes"], result["first_ts"] or "-", result["last_ts"] or "-"))
    print("calls       {intents} begun, {refusals} refused, {indeterminate} with an unknown outcome, {open} still open".format(**result))
    if result["partial"]:
        print("checkpoints not checked: this does not begin with the log's genesis")
    else:
        print("checkpoints {checkpoints}, covering {checkpointed} of {entries} entries".format(**result))
    if result["unsigned"]:
        print("recovered   " + recovered(result))
    if result["total_findings"]:
        print(f"FAILED: {result['total_findings']} finding{'' if result['total_findings'] == 1 else 's'}")
    elif result["anchored_to"] is not None:
        print(f"OK, ANCHORED up to entry {result['anchored_to']} by receipts")
    else:
        print("VALID, but UNANCHORED: its end may be missing, and whoever holds the signing key could have rewritten all of it; "
              "give --receipts that a client kept")


def recovered(result):
    ranges = [str(first) if first == last else f"{first}\u2013{last}" for first, last in result["unsigned_ranges"]]
    ranges = ", ".join(ranges[:SHOWN_RANGES] + ["…"] * (len(ranges) > SHOWN_RANGES))
    noun, verb, them = ("entry", "was", "it") if result["unsigned"] == 1 else ("entries", "were", "them")
    return f"{result['unsigned']} {noun} ({ranges}) {verb} not yet signed when the writer ended; only receipts vouch for {them}"


def public_key(text):
    if not re.match(r"[0-9a-f]{64}\Z", text.lower()):
        raise argparse.ArgumentTypeError("a public key is 64 hex digits")
    return bytes.fromhex(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="the log's folder, or segment files in their order")
    parser.add_argument("--receipts", metavar="FILE", help="receipts that a client kept, as JSON lines")
    parser.add_argument("--head", metavar="FILE", help="the high-water mark that the gateway keeps beside the log's folder")
    parser.add_argument("--key", type=public_key, metavar="HEX", help="the public key that the log must have")
    parser.add_argument("--require-anchor", action="store_true", help="fail where nothing outside of the log vouches for it")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    try:
        result = verify(arguments.paths, arguments.receipts, arguments.key, arguments.head)
    except Unusable as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what = f"`{error.filename}` cannot be read" if error.filename else "the log cannot be read"
        print(f"verify.py: {what}: {error.strerror or error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)
    if arguments.require_anchor and result["anchored_to"] is None:
        print("verify.py: UNANCHORED, and --require-anchor was given", file=sys.stderr)
        return 1
    return 1 if result["total_findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
