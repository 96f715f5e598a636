// SHA-256 (FIPS 180-4), as lower-case hexadecimal.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace pumice {

/// Digest of bytes that arrive in pieces.
class Sha256 {
public:
    static Result<Sha256> create();
    Status update(std::span<const std::byte>);
    /// 64 hexadecimal digits. Ends the digest: neither function may be called afterwards.
    Result<std::string> finish();

private:
    struct Free {
        void operator()(void*) const;
    };
    explicit Sha256(void* context) : context_(context) {}
    std::unique_ptr<void, Free> context_;
};

Result<std::string> sha256(std::span<const std::byte>);

/// Reads the file in pieces of 1 MiB. Code::not_found or Code::io, naming the file.
Result<std::string> sha256_file(const std::filesystem::path&);

}  // namespace pumice
