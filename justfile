# The recipes are the stages of .ci/run, which works without just.

# Everything, as CI does
ci:
    .ci/run

# One stage: fmt clippy doc loom seeds asan fuzz bench lab deny rayon async test
stage name:
    .ci/run {{name}}

fmt:
    cargo fmt --all

clippy:
    .ci/run clippy

test:
    .ci/run test

doc:
    .ci/run doc

loom:
    .ci/run loom

seeds:
    .ci/run seeds

asan:
    .ci/run asan

fuzz-smoke:
    .ci/run fuzz

bench-smoke:
    .ci/run bench

lab-smoke:
    .ci/run lab

deny:
    .ci/run deny
