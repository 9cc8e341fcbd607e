//! The processor's time-stamp counter, if there is one that can be trusted.
//!
//! It tells cheaply about how much time has passed, and nothing else: its rate has to be measured,
//! and readings of two processors may differ a little.

/// Reads the counter; zero if there is none.
///
/// The processor may take the reading a little earlier or later than the accesses around it.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn counter() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(any(clockhand_loom, miri))))]
    {
        // SAFETY: every x86-64 processor has the instruction, which reads a register and no more.
        unsafe { std::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(clockhand_loom, miri)))))]
    0
}

/// Whether the counter runs at one rate, whatever the processor does and however deeply it sleeps.
pub(crate) fn has_counter() -> bool {
    #[cfg(all(target_arch = "x86_64", not(any(clockhand_loom, miri))))]
    {
        /// "Advanced power management": the invariant counter is bit 8 of the last register.
        const POWER: u32 = 0x8000_0007;
        cpuid(0x8000_0000).eax >= POWER && cpuid(POWER).edx & 1 << 8 != 0
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(clockhand_loom, miri)))))]
    false
}

#[cfg(all(target_arch = "x86_64", not(any(clockhand_loom, miri))))]
#[allow(unsafe_code, unused_unsafe)]
fn cpuid(leaf: u32) -> std::arch::x86_64::CpuidResult {
    // SAFETY: every x86-64 processor has the instruction. (Later compilers know that.)
    unsafe { std::arch::x86_64::__cpuid(leaf) }
}
