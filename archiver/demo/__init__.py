"""A stand-in for Seller Central: a small real site on loopback, to run and test the archiver against.

It is written from the public facts alone, as if we were Amazon, and imports nothing of the rest of the package:
were it to share one selector with the archiver, the tests would prove only that we agree with ourselves.
"""
