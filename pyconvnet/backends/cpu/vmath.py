"""exp and log of 16 floats, with the polynomials of Cephes (S. Moshier, expf.c and logf.c), and MatConvNet's power."""

from __future__ import annotations

import numpy as np

from pyconvnet.backends.cpu.compiled import inner
from pyconvnet.backends.cpu.llvm.simd import (
    vadd,
    vexponent,
    vexponent_of_bits,
    vfloat_of_bits,
    vfloor,
    vfma,
    vif_equal,
    vif_greater,
    vmantissa,
    vmax,
    vmin,
    vmul,
    vset1,
    vsub,
)


@inner
def vexp(x):
    """exp(x); 0 below -87.3 (no denormal numbers), 2.2e38 above 88.3, NaN where x is NaN."""
    low, high = vset1(np.float32(-87.3)), vset1(np.float32(88.3))
    return vif_greater(low, x, vset1(np.float32(0)), vexp_within(vmin(high, vmax(low, x))))


@inner
def vexp_within(x):
    """exp(x) for x from -87.3 to 88.3, NaN where x is NaN."""
    # As a float that has no bits for fractions, x / ln 2 is rounded to n; its last bits are n + 127.
    shift = vset1(np.float32(1.5 * 2**23 + 127))
    bits = vfma(x, vset1(np.float32(1.44269504088896341)), shift)
    n = vsub(bits, shift)
    # ln 2 in two parts, the first with few bits, so that n times it is exact
    r = vfma(n, vset1(np.float32(-0.693359375)), x)
    r = vfma(n, vset1(np.float32(2.12194440e-4)), r)
    p = vset1(np.float32(1.9875691500e-4))
    p = vfma(p, r, vset1(np.float32(1.3981999507e-3)))
    p = vfma(p, r, vset1(np.float32(8.3334519073e-3)))
    p = vfma(p, r, vset1(np.float32(4.1665795894e-2)))
    p = vfma(p, r, vset1(np.float32(1.6666665459e-1)))
    p = vfma(p, r, vset1(np.float32(5.0000001201e-1)))
    p = vfma(p, r, vset1(np.float32(1)))
    p = vfma(p, r, vset1(np.float32(1)))
    return vmul(p, vexponent_of_bits(bits))


@inner
def vlog(x):
    """log(x); -inf for 0, NaN below and where x is NaN."""
    one, zero, infinite = vset1(np.float32(1)), vset1(np.float32(0)), vset1(np.float32(np.inf))
    least = vset1(np.float32(2.0**-126))  # denormal numbers are scaled up
    normal = vif_greater(least, x, vmul(x, vset1(np.float32(2.0**24))), x)
    m = vmantissa(normal)
    e = vsub(vexponent(normal), vif_greater(least, x, vset1(np.float32(24)), zero))
    small = vset1(np.float32(0.707106781186547524))
    e = vif_greater(small, m, vsub(e, one), e)
    m = vsub(vif_greater(small, m, vadd(m, m), m), one)
    z = vmul(m, m)
    p = vset1(np.float32(7.0376836292e-2))
    p = vfma(p, m, vset1(np.float32(-1.1514610310e-1)))
    p = vfma(p, m, vset1(np.float32(1.1676998740e-1)))
    p = vfma(p, m, vset1(np.float32(-1.2420140846e-1)))
    p = vfma(p, m, vset1(np.float32(1.4249322787e-1)))
    p = vfma(p, m, vset1(np.float32(-1.6668057665e-1)))
    p = vfma(p, m, vset1(np.float32(2.0000714765e-1)))
    p = vfma(p, m, vset1(np.float32(-2.4999993993e-1)))
    p = vfma(p, m, vset1(np.float32(3.3333331174e-1)))
    p = vmul(vmul(p, m), z)
    p = vfma(e, vset1(np.float32(-2.12194440e-4)), p)
    p = vfma(vset1(np.float32(-0.5)), z, p)
    y = vfma(e, vset1(np.float32(0.693359375)), vadd(m, p))
    odd = vif_equal(x, zero, vsub(zero, infinite), vif_equal(x, infinite, infinite, vset1(np.float32(np.nan))))
    return vif_greater(x, zero, vif_greater(infinite, x, y, odd), odd)


@inner
def vpower(x, y):
    """x^y for x from 0 up, 1 for y = 0; NaN for other x."""
    t = vmul(y, vlog(x))
    power = vif_greater(t, vset1(np.float32(88.72)), vset1(np.float32(np.inf)), vexp(t))
    return vif_equal(y, vset1(np.float32(0)), vset1(np.float32(1)), power)


@inner
def vfast_power(x, y):
    """See `backends.reference.normalization.fast_power`: MatConvNet's x^y, up to 4e-3 off; NaN but for x from 0 up."""
    one = vset1(np.float32(1))
    m = vsub(vmul(vset1(np.float32(2)), vmantissa(x)), one)
    p = vset1(np.float32(0.164042561333445))
    p = vfma(p, m, vset1(np.float32(-0.606737602222409)))
    p = vfma(p, m, vset1(np.float32(1.442695040888963)))
    t = vmul(vset1(y), vfma(p, m, vsub(vexponent(x), one)))
    z = vfloor(t)
    r = vsub(t, z)
    p = vset1(np.float32(0.079441541679836))
    p = vfma(p, r, vset1(np.float32(0.227411277760219)))
    p = vfma(p, r, vset1(np.float32(0.693147180559945)))
    power = vfloat_of_bits(vmul(vfma(p, r, z), vset1(np.float32(1 << 23))))
    return vif_greater(x, vset1(np.float32(-1e-45)), power, vset1(np.float32(np.nan)))
