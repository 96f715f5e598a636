#include "base/hash.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <openssl/evp.h>

namespace pumice {
namespace {

constexpr std::size_t kPiece = std::size_t(1) << 20;

struct CloseFile {
    void operator()(std::FILE* f) const { std::fclose(f); }
};

Error failed(const char* what) {
    return {Code::internal, std::string("SHA-256: libcrypto failed to ") + what};
}

}  // namespace

void Sha256::Free::operator()(void* context) const {
    EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

Result<Sha256> Sha256::create() {
    Sha256 hash(EVP_MD_CTX_new());
    auto* context = static_cast<EVP_MD_CTX*>(hash.context_.get());
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) return failed("start");
    return hash;
}

Status Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()) != 1)
        return failed("take in bytes");
    return {};
}

Result<std::string> Sha256::finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), digest, &size) != 1) return failed("finish");
    constexpr char digits[] = "0123456789abcdef";
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        hex += digits[digest[i] >> 4];
        hex += digits[digest[i] & 15];
    }
    return hex;
}

Result<std::string> sha256(std::span<const std::byte> bytes) {
    PUMICE_ASSIGN(Sha256 hash, Sha256::create());
    PUMICE_TRY(hash.update(bytes));
    return hash.finish();
}

Result<std::string> sha256_file(const std::filesystem::path& path) {
    std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    if (!file) {
        const int reason = errno;
        return Error{reason == ENOENT ? Code::not_found : Code::io, path.string() + ": " + std::strerror(reason)};
    }
    PUMICE_ASSIGN(Sha256 hash, Sha256::create());
    std::vector<std::byte> piece(kPiece);
    while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), file.get()))
        PUMICE_TRY(hash.update({piece.data(), n}));
    if (std::ferror(file.get())) return Error{Code::io, path.string() + ": " + std::strerror(errno)};
    return hash.finish();
}

}  // namespace pumice
