// pumice_probe FILE: tries a plugin out and writes what it holds, or what is wrong with it, as JSON to descriptor 3.
#include <sys/prctl.h>
#include <sys/resource.h>

#include "plugins/probe.hpp"

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);      // a crash here is expected
    prctl(PR_SET_PDEATHSIG, 9);         // and nobody wants the answer when the asker is gone
    return pumice::plugins::probe_here(argv[1], 3);
}
