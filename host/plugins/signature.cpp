#include "plugins/signature.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "outcome.hpp"
#include "plugins/package_descriptor.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kKeyStart = "ed25519:";
constexpr std::string_view kSecretStart = "pumice-secret-key 1\n";
using SignatureBytes = std::array<std::uint8_t, crypto_sign_BYTES>;

static_assert(std::tuple_size_v<PublicKey> == crypto_sign_PUBLICKEYBYTES);

/// May be called at any time, on any thread, as often as one likes.
Expected<void> ready() {
    if (sodium_init() >= 0) return {};
    return Failure{PUMICE_INTERNAL, "libsodium cannot start: the system gives no random numbers"};
}

std::string base64(std::span<const std::uint8_t> bytes) {
    std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
    text.pop_back();  // the 0 at its end
    return text;
}

/// Exactly as many bytes as `to` has; libsodium takes only the one way that base64 writes them.
bool from_base64(std::string_view text, std::span<std::uint8_t> to) {
    std::size_t size = 0;
    return sodium_base642bin(to.data(), to.size(), text.data(), text.size(), nullptr, &size, nullptr,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           size == to.size();
}

std::string signature_text(const PublicKey& key, const SignatureBytes& signature) {
    return fmt::format("pumice-signature 1\nkey {}\nsignature {}\n", key_text(key), base64(signature));
}

/// What follows `start` up to the line's end, which is taken off `text`; nothing if the line does not start so.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view start) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(start)) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line.substr(std::min(start.size(), line.size()));
}

/// A text that is wiped when it ends.
struct SecretText {
    std::array<char, 256> text = {};
    ~SecretText() { sodium_memzero(text.data(), text.size()); }
};

Failure cannot(const char* what, const fs::path& file, int number) {
    return {number == ENOENT ? PUMICE_NOT_FOUND : PUMICE_IO,
            fmt::format("cannot {} the key file {}: {}", what, file.string(), std::strerror(number))};
}

}  // namespace

std::string key_text(const PublicKey& key) {
    return std::string(kKeyStart) + base64(key);
}

std::optional<PublicKey> parse_key(std::string_view text) {
    PublicKey key;
    if (!text.starts_with(kKeyStart) || !from_base64(text.substr(kKeyStart.size()), key)) return std::nullopt;
    return key;
}

Expected<SecretKey> SecretKey::generate() {
    HOST_TRY(ready());
    SecretKey key;
    PublicKey unused;
    crypto_sign_keypair(unused.data(), key.bytes_.data());
    return key;
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) {
    sodium_memzero(other.bytes_.data(), other.bytes_.size());
}

SecretKey::~SecretKey() {
    sodium_memzero(bytes_.data(), bytes_.size());
}

Expected<SecretKey> SecretKey::read(const fs::path& file) {
    HOST_TRY(ready());
    const FileDescriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) return cannot("read", file, errno);
    struct stat status {};
    if (::fstat(in.get(), &status) != 0) return cannot("read", file, errno);
    if (S_ISREG(status.st_mode) && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return Failure{PUMICE_IO, fmt::format("others may read or change the key file {}: chmod 600 it, and make a new "
                                              "key if somebody could have read it",
                                              file.string())};
    SecretText text;
    const ssize_t size = ::read(in.get(), text.text.data(), text.text.size());
    if (size < 0) return cannot("read", file, errno);
    std::string_view rest(text.text.data(), static_cast<std::size_t>(size));
    SecretKey key;
    PublicKey from_seed;
    std::array<std::uint8_t, 64> again;
    const bool whole = rest.starts_with(kSecretStart) && rest.ends_with('\n') &&
                       from_base64(rest.substr(kSecretStart.size(), rest.size() - kSecretStart.size() - 1), key.bytes_);
    // The second half must be what the first half gives: a signature by a half that was changed gives the key away.
    if (whole) crypto_sign_seed_keypair(from_seed.data(), again.data(), key.bytes_.data());
    const bool fits = whole && sodium_memcmp(again.data(), key.bytes_.data(), again.size()) == 0;
    sodium_memzero(again.data(), again.size());
    if (!fits)
        return Failure{PUMICE_BAD_FORMAT,
                       fmt::format("{} is no key file, or damaged; `pumice plugins keygen` makes one", file.string())};
    return key;
}

Expected<void> SecretKey::write(const fs::path& file) const {
    const FileDescriptor out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out && errno == EEXIST)
        return Failure{PUMICE_IO,
                       fmt::format("{} exists already; a key is never replaced, choose another name", file.string())};
    if (!out) return cannot("write", file, errno);
    std::string encoded = base64(bytes_);
    SecretText text;
    const auto end = fmt::format_to_n(text.text.data(), text.text.size(), "{}{}\n", kSecretStart, encoded);
    sodium_memzero(encoded.data(), encoded.size());
    errno = 0;
    // fchmod: the mask of the process may have taken the owner's own rights away.
    if (::fchmod(out.get(), 0600) != 0 ||
        ::write(out.get(), text.text.data(), end.size) != static_cast<ssize_t>(end.size) || ::fsync(out.get()) != 0) {
        const int number = errno ? errno : EIO;
        ::unlink(file.c_str());
        return cannot("write", file, number);
    }
    return {};
}

PublicKey SecretKey::public_key() const {
    PublicKey key;
    std::copy_n(bytes_.begin() + crypto_sign_SEEDBYTES, key.size(), key.begin());
    return key;
}

std::string sha256(std::span<const std::uint8_t> bytes) {
    std::array<std::uint8_t, crypto_hash_sha256_BYTES> hash;
    crypto_hash_sha256(hash.data(), bytes.data(), bytes.size());
    std::string digits;
    for (const std::uint8_t byte : hash) digits += fmt::format("{:02x}", byte);
    return digits;
}

std::string manifest_of(const PackageFiles& files) {
    std::string manifest = "pumice-package 1\n";
    for (const auto& [path, bytes] : files)
        if (path != kSignatureFile) manifest += fmt::format("{} {} {}\n", sha256(bytes), bytes.size(), path);
    return manifest;
}

Expected<std::string> sign(std::string_view manifest, const SecretKey& key) {
    HOST_TRY(ready());
    SignatureBytes signature;
    crypto_sign_detached(signature.data(), nullptr, reinterpret_cast<const unsigned char*>(manifest.data()),
                         manifest.size(), key.bytes_.data());
    return signature_text(key.public_key(), signature);
}

Packaged<PublicKey> verify(std::string_view manifest, std::string_view text) {
    HOST_TRY(ready());
    std::string_view rest = text;
    SignatureBytes signature;
    std::optional<PublicKey> key;
    const bool first = take_line(rest, "pumice-signature 1") == std::string_view();
    if (const auto line = take_line(rest, "key ")) key = parse_key(*line);
    const auto line = take_line(rest, "signature ");
    if (!first || !key || !line || !from_base64(*line, signature) || !rest.empty())
        return PackageFailure(Refusal::signature, fmt::format("{} is no signature, or damaged", kSignatureFile));
    if (crypto_sign_verify_detached(signature.data(), reinterpret_cast<const unsigned char*>(manifest.data()),
                                    manifest.size(), key->data()) != 0)
        return PackageFailure(Refusal::signature,
                              "the signature does not fit the files: something was changed after signing");
    return *key;
}

}  // namespace pumice::host
