# The recipes are the stages of .ci/run, which works without just.

# Everything, as CI does
ci:
    .ci/run

# Some stages, in this order
stages +names:
    .ci/run {{names}}

# Changes what `fmt` finds
format:
    cargo fmt --all

fmt:
    .ci/run fmt

clippy:
    .ci/run clippy

features:
    .ci/run features

msrv:
    .ci/run msrv

doc:
    .ci/run doc

deny:
    .ci/run deny

loom:
    .ci/run loom

seeds:
    .ci/run seeds

asan:
    .ci/run asan

tsan:
    .ci/run tsan

fuzz:
    .ci/run fuzz

bench:
    .ci/run bench

lab:
    .ci/run lab

page:
    .ci/run page

test:
    .ci/run test
