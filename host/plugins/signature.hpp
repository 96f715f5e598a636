// Who packed a package: Ed25519 (RFC 8032, through libsodium) over a list of all its files' hashes.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugins/package_zip.hpp"

namespace pumice::host {

/// In a package; itself the only file that the manifest leaves out.
inline constexpr std::string_view kSignatureFile = "plugin.sig";

using PublicKey = std::array<std::uint8_t, 32>;

/// "ed25519:" and base64. parse_key gives nothing for any other text.
std::string key_text(const PublicKey&);
std::optional<PublicKey> parse_key(std::string_view);

/// Wiped from memory when it ends.
class SecretKey {
public:
    /// From the system's random numbers.
    static Expected<SecretKey> generate();
    /// A file that write made. PUMICE_NOT_FOUND, PUMICE_IO (also when others may read the file), PUMICE_BAD_FORMAT.
    static Expected<SecretKey> read(const std::filesystem::path&);

    SecretKey(SecretKey&&) noexcept;
    SecretKey& operator=(SecretKey&&) = delete;
    ~SecretKey();

    /// To a new file, mode 0600, on disk when this returns. PUMICE_IO, also when there is a file of that name: a key is
    /// never replaced, for with it the plugins signed by it could not be updated any more.
    Expected<void> write(const std::filesystem::path&) const;
    PublicKey public_key() const;

private:
    SecretKey() = default;
    friend Expected<std::string> sign(std::string_view manifest, const SecretKey&);
    std::array<std::uint8_t, 64> bytes_ = {};  ///< libsodium's: the seed and the public key
};

/// 64 digits.
std::string sha256(std::span<const std::uint8_t> bytes);

/// What is signed: a line "pumice-package 1", then for each file but kSignatureFile, in the order of the bytes of their
/// names, a line "SHA256 SIZE NAME". Each line ends with "\n".
std::string manifest_of(const PackageFiles&);

/// The content of kSignatureFile: the lines "pumice-signature 1", "key KEY" and "signature BASE64".
Expected<std::string> sign(std::string_view manifest, const SecretKey&);

/// The key that signed. Refusal::signature when the text is no such content, or does not fit the manifest.
Packaged<PublicKey> verify(std::string_view manifest, std::string_view signature);

}  // namespace pumice::host
