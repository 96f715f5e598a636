"""What the training stages share: working folder, processes, checkpoints, pausing."""
import os
import sys
import time

# Big blocks are kept by malloc and backed by huge pages: first touches of fresh pages cost
# more than the arithmetic. Set before torch is loaded, so the program starts itself again.
_ENV = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "268435456",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def ensure_env():
    if os.environ.get("GLIBC_TUNABLES") != _ENV["GLIBC_TUNABLES"]:
        os.environ.update({k: v for k, v in _ENV.items()})
        os.execv(sys.executable, [sys.executable] + sys.argv)


def default_workdir():
    return os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "pumice-starter")


def save(obj, path):
    """Written beside and renamed, so that a kill never leaves half a file."""
    import torch
    torch.save(obj, path + ".tmp")
    os.replace(path + ".tmp", path)


class Clock:
    """Training time: sleeps while workdir/PAUSE exists and does not count that."""

    def __init__(self, workdir, start=0.0):
        self.dir, self.total, self.last = workdir, start, time.time()

    def tick(self):
        now = time.time()
        self.total += now - self.last
        while os.path.exists(os.path.join(self.dir, "PAUSE")):
            time.sleep(1)
        self.last = time.time()
        return self.total


class Group:
    """Gradient averaging among processes (gloo); one process needs nothing."""

    def __init__(self, rank, world, port):
        self.rank, self.world = rank, world
        if world > 1:
            import datetime
            import torch.distributed as dist
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            dist.init_process_group("gloo", rank=rank, world_size=world, timeout=datetime.timedelta(hours=12))
            self.dist = dist

    def sync_params(self, params):
        if self.world > 1:
            for p in params:
                self.dist.broadcast(p.data, 0)

    def average_grads(self, params):
        import torch
        if self.world == 1:
            return
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in params])
        self.dist.all_reduce(flat)
        flat /= self.world
        pos = 0
        for p in params:
            n = p.numel()
            p.grad = flat[pos:pos + n].view_as(p)
            pos += n

    def agree(self, value):
        """Rank 0's number, for all."""
        if self.world == 1:
            return value
        import torch
        t = torch.tensor([float(value)], dtype=torch.float64)
        self.dist.broadcast(t, 0)
        return float(t)


def launch(fn, args, procs, port):
    if procs == 1:
        fn(0, args)
    else:
        import torch.multiprocessing as mp
        mp.spawn(fn, (args,), nprocs=procs)
