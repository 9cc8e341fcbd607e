# What CI does. All of it works without just: .ci/run

# Everything
ci:
    .ci/run

# Some stages, in this order: just stages fmt clippy
stages +names:
    .ci/run {{names}}

# Changes what the stage `fmt` finds
format:
    cargo fmt --all
