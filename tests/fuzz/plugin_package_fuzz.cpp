// A package of any bytes: files with names that stay inside, all of them listed and with the hashes told, or one line.
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "plugins/package.hpp"
#include "plugins/package_path.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pumice;
    using namespace pumice::host;
    ZipLimits limits;
    limits.unpacked = std::size_t(64) << 20;
    if (const auto files = read_zip({data, size}, "FILE", limits)) {
        std::set<std::string> folded;
        std::size_t total = 0;
        for (const auto& [name, bytes] : *files) {
            require(static_cast<bool>(check_path(name)), "names stay inside");
            require(folded.insert(fold_case(name)).second, "no two names are one");
            total += bytes.size();
        }
        require(total <= limits.unpacked, "no more than the limit");
        require(total <= limits.ratio_from + 65536 || total / limits.ratio <= size + 65536, "no bomb");
    }
    const auto package = read_package({data, size}, "FILE");
    if (!package) {
        const PackageFailure& failure = package.failure();
        require(failure.message.starts_with("FILE: "), "the message names the file");
        require(failure.message.find('\n') == std::string::npos, "the message is one line");
        require(failure.status == PUMICE_BAD_FORMAT, "the status is one");
        return 0;
    }
    for (const auto& [platform, library] : package->description.libraries)
        require(sha256(package->files.at(library.file)) == library.sha256, "hashes are right");
    if (package->signed_by) {
        const Bytes& text = package->files.at(std::string(kSignatureFile));
        const auto key = verify(manifest_of(package->files), {reinterpret_cast<const char*>(text.data()), text.size()});
        require(key && *key == *package->signed_by, "the signature is right");
    }
    return 0;
}
