import ctypes
import mmap
import os

GETPID = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
X32_GETPID = 0x40000000 + 39


def answer(name, self, args):
    if os.uname().machine == "x86_64":
        if ctypes.CDLL(None).syscall(ctypes.c_long(X32_GETPID)) == os.getpid():
            print("HOLE: calls of x32 work", flush=True)
        memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        memory.write(GETPID)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        if ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid():
            print("HOLE: calls of 32 bits work", flush=True)
    return args[0]
