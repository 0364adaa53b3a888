/** The glue on Ray's side, in Python, the one language in which Ray has actors: one actor a shard, each with a Node process. */

export const RAY_GLUE = `
import collections, json, os, struct, subprocess, sys, threading, time
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
    def __init__(self, command, opening=None):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hello = None if opening is None else self.ask(opening)

    def pid(self):
        return self.child.pid

    def end(self):
        self.child.kill()

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

def run_sweep(order, source, out):
    """Each fit by the actor that is free; one that was lost is done again by a new one."""
    fits, patience, tries = order["fits"], order["patience"], order["tries"]
    kind = ray.remote(num_cpus=order["cpus"], max_restarts=0, max_concurrency=2)(Shard)
    ended = threading.Event()
    threading.Thread(target=lambda: (source.read(), ended.set()), daemon=True).start()
    todo = collections.deque((index, 1) for index in range(len(fits)))
    free = [kind.remote(order["command"]) for _ in range(min(order["workers"], len(fits)))]
    running = {}
    def tell(head):
        out.write(frame(head))
        out.flush()
    def another(actor):
        try:
            ray.get(actor.end.remote(), timeout=5)
        except Exception:
            pass  # it is gone with its worker
        ray.kill(actor)
        free.append(kind.remote(order["command"]))
    while (todo or running) and not ended.is_set():
        while todo and free:
            index, count = todo.popleft()
            actor = free.pop()
            call = {"fit": {"load": order["load"], "index": index, "args": fits[index]}}
            running[actor.ask.remote(frame(call))] = (actor, index, count, time.monotonic())
        for ref in ray.wait(list(running), num_returns=1, timeout=0.5)[0]:
            actor, index, count, _ = running.pop(ref)
            try:
                answer = head_of(ray.get(ref))
                answer["fit"]["tries"] = count
                tell(answer)
                free.append(actor)
            except Exception as error:
                another(actor)
                if count < tries:
                    todo.append((index, count + 1))
                else:
                    tell({"lost": {"index": index, "tries": count, "why": " ".join(str(error).split())[:600]}})
        for ref, (actor, index, count, since) in list(running.items()):
            if time.monotonic() - since > patience:
                del running[ref]
                another(actor)
                tell({"silent": {"index": index, "tries": count}})
    for actor in free + [entry[0] for entry in running.values()]:
        try:
            ray.get(actor.end.remote(), timeout=5)
        except Exception:
            pass
        ray.kill(actor)

def main():
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print must not get among the frames
    source = sys.stdin.buffer
    first = head_of(read_frame(source))
    start = first.get("start") or first["sweep"]
    patience = start["patience"]
    address = start["address"] or os.environ.get("RAY_ADDRESS")
    own = None if address else max(os.cpu_count() or 1, len(start["specs"]) if "specs" in start else start["workers"])
    ray.init(address=address or "local", num_cpus=own, include_dashboard=False, log_to_driver=False, logging_level="error")
    if "sweep" in first:
        run_sweep(start, source, out)
        ray.shutdown()
        return
    specs = start["specs"]
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
