/** The glue on Ray's side, in Python, the one language in which Ray has actors: one actor a shard, each with a Node process. */

export const RAY_GLUE = `
import json, os, struct, subprocess, sys
import ray

LEAD, LEAD_SIZE = "<IIQ", 16
PUT_FROM = 100_000  # bytes that are worth one copy for all in the object store

def read(stream, size):
    parts, have = [], 0
    while have < size:
        part = stream.read(min(size - have, 1 << 26))
        if not part:
            raise EOFError
        parts.append(part)
        have += len(part)
    return b"".join(parts)

def read_frame(stream):
    lead = read(stream, LEAD_SIZE)
    head, _, body = struct.unpack(LEAD, lead)
    return lead + read(stream, head + body)

def frame(head):
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack(LEAD, len(text), 0, 0) + text

def head_of(data):
    return json.loads(data[LEAD_SIZE : LEAD_SIZE + struct.unpack_from(LEAD, data)[0]])

class Shard:
    def __init__(self, command, opening):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hello = self.ask(opening)

    def opened(self):
        return self.hello

    def ask(self, data):
        try:
            self.child.stdin.write(data)
            self.child.stdin.flush()
            return read_frame(self.child.stdout)
        except (EOFError, BrokenPipeError):
            os._exit(1)  # Ray starts the actor again, here or elsewhere, and asks again

def gone(shard, code, why):
    return frame({"gone": {"shard": shard, "code": code, "why": why}})

def answers(refs, patience):
    ready = set(ray.wait(list(refs.values()), num_returns=len(refs), timeout=patience)[0])
    for shard, ref in refs.items():
        if ref not in ready:
            free = ray.available_resources().get("CPU", 0)
            total = ray.cluster_resources().get("CPU", 0)
            yield gone(shard, "cluster/silent", f"Ray has {total:g} CPUs, of which {free:g} are free")
            continue
        try:
            yield ray.get(ref)
        except Exception as error:
            yield gone(shard, "cluster/lost", " ".join(str(error).split())[:600])

def main():
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print must not get among the frames
    source = sys.stdin.buffer
    start = head_of(read_frame(source))["start"]
    specs, patience = start["specs"], start["patience"]
    address = start["address"] or os.environ.get("RAY_ADDRESS")
    own = None if address else max(os.cpu_count() or 1, len(specs))
    ray.init(address=address or "local", num_cpus=own, include_dashboard=False, log_to_driver=False, logging_level="error")
    kind = ray.remote(num_cpus=start["cpus"], max_restarts=start["restarts"], max_task_retries=-1)(Shard)
    shards = [kind.remote(start["command"], frame({"open": spec})) for spec in specs]
    refs = {k: shard.opened.remote() for k, shard in enumerate(shards)}
    while True:
        for answer in answers(refs, patience):
            out.write(answer)
        out.flush()
        try:
            data = read_frame(source)
        except EOFError:
            break
        only = head_of(data).get("only")
        ref = ray.put(data) if len(data) > PUT_FROM else data
        refs = {k: shard.ask.remote(ref) for k, shard in enumerate(shards) if only is None or only == k}
    for shard in shards:
        ray.kill(shard)
    ray.shutdown()

main()
`;
