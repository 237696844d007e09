"""Decoders on machines: phases predicted as any workload is, and put together to tokens per second.

Tensor parallel: of every layer each of N machines holds an Nth of the weights and does an Nth of the arithmetic, and
holds the cache of an Nth of the key heads, at least of one; behind attention and behind the MLP they add their results
up (two all-reduces a layer).

In series: each machine holds an Nth of the layers and of their cache and hands the positions' hidden values on; a token
takes the time of one machine, and no two work at once.

Queues, expert parallelism and separate machines for the two phases are not modelled; vLLM's and SGLang's benchmarks
measure them, simulators such as Vidur and AIConfigurator estimate them.
"""

from roofline.serving.predicting import cases, serve

__all__ = ["cases", "serve"]
