"""The workloads for GPUs in the order of their worth, and the forms in which the peers do them (gpu_forms.py)."""

FORMS = {
    "hc-boundary": ["eager", "compiled", "expert", "triton"],
    "experts-even": ["eager", "compiled", "batched", "expert"],
    "hc-boundary-grad": ["eager", "compiled", "expert", "triton"],
    "lm-124m-hc": ["eager", "compiled", "expert"],
    "lm-124m-plain": ["eager", "compiled"],
    "bag-forward": ["eager", "compiled", "triton"],
    "bag-step": ["eager", "compiled", "expert", "triton"],
    "pkm-lookup": ["eager", "compiled", "expert", "triton"],
    "experts-skewed": ["eager", "compiled", "expert"],
}
