#include "plugins/package.hpp"

#include <set>
#include <system_error>

#include <fmt/format.h>

#include "outcome.hpp"
#include "plugins/package_folder.hpp"

namespace pumice::host {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLargestDescription = std::size_t(1) << 20;
const std::string kDescription(kDescriptionFile), kSignature(kSignatureFile);

std::string_view text_of(const Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}

PackageFailure refused(Refusal why, const std::string& name, const std::string& what) {
    return {why, fmt::format("{}: {}", name, what)};
}

/// The files that plugin.toml names, each once.
std::set<std::string> named_files(const PackageDescription& description) {
    std::set<std::string> names(description.files.begin(), description.files.end());
    for (const auto& [platform, library] : description.libraries) names.insert(library.file);
    return names;
}

/// plugin.toml names all files but itself and the signature, and nothing that is not there.
Packaged<Done> check_listed(const Package& package, const std::string& name) {
    const std::set<std::string> named = named_files(package.description);
    for (const std::string& file : named) {
        if (file == kDescription || file == kSignature)
            return refused(Refusal::duplicate, name, fmt::format("plugin.toml must not name {}", file));
        if (package.files.count(file) == 0)
            return refused(Refusal::missing, name, fmt::format("{} is missing, which plugin.toml names", file));
    }
    for (const auto& [file, bytes] : package.files)
        if (file != kDescription && file != kSignature && named.count(file) == 0)
            return refused(Refusal::unlisted, name, fmt::format("{} is there, but plugin.toml does not name it", file));
    return Done{};
}

Packaged<Done> check_hashes(const Package& package, const std::string& name) {
    for (const auto& [platform, library] : package.description.libraries)
        if (const std::string found = sha256(package.files.at(library.file)); found != library.sha256)
            return refused(Refusal::hash, name,
                           fmt::format("{} has SHA-256 {}, not {} as plugin.toml says; damaged, or changed",
                                       library.file, found, library.sha256));
    return Done{};
}

/// From files whose names are checked.
Packaged<Package> package_of(PackageFiles files, const std::string& name) {
    Package package{{}, std::move(files), {}};
    const auto toml = package.files.find(kDescription);
    if (toml == package.files.end())
        return refused(Refusal::missing, name, "plugin.toml is missing; this is no package of a plugin");
    const std::string toml_name = name + ": plugin.toml";
    if (toml->second.size() > kLargestDescription) return refused(Refusal::too_large, toml_name, "larger than 1 MiB");
    HOST_ASSIGN(package.description, parse_description(text_of(toml->second), toml_name, Hashes::required));
    HOST_TRY(check_listed(package, name));
    HOST_TRY(check_hashes(package, name));
    if (const auto signature = package.files.find(kSignature); signature != package.files.end()) {
        auto key = verify(manifest_of(package.files), text_of(signature->second));
        if (!key) return refused(key.failure().refusal, name, key.failure().message);
        package.signed_by = *key;
    }
    return package;
}

/// plugin.toml of a folder, and what it names; the signature is not read.
Packaged<PackageFiles> read_named(const PackageFolder& folder, const std::string& name, Hashes hashes) {
    HOST_ASSIGN(std::optional<Bytes> toml, folder.read(kDescription, kLargestDescription));
    if (!toml) return refused(Refusal::missing, name, "plugin.toml is missing; it says what belongs to the plugin");
    const std::string toml_name = name + "/plugin.toml";
    HOST_ASSIGN(PackageDescription description, parse_description(text_of(*toml), toml_name, hashes));
    PackageFiles files;
    std::size_t total = 0;
    for (const std::string& file : named_files(description)) {
        HOST_ASSIGN(std::optional<Bytes> bytes, folder.read(file, ZipLimits().unpacked - total));
        if (!bytes) return refused(Refusal::missing, name, fmt::format("{} is missing, which plugin.toml names", file));
        total += bytes->size();
        files[file] = std::move(*bytes);
    }
    // An author's plugin.toml stays as it is when it says all; else hashes are added, and comments go.
    bool complete = true;
    for (auto& [platform, library] : description.libraries)
        if (library.sha256.empty()) {
            library.sha256 = sha256(files.at(library.file));
            complete = false;
        }
    files[kDescription] = complete ? std::move(*toml) : bytes_of(format_description(description));
    return files;
}

Packaged<Package> load_folder(const fs::path& path) {
    const std::string name = path.string();
    HOST_ASSIGN(const PackageFolder folder, PackageFolder::open(path));
    HOST_ASSIGN(std::optional<Bytes> signature, folder.read(kSignature, kLargestDescription));
    HOST_ASSIGN(PackageFiles files, read_named(folder, name, signature ? Hashes::required : Hashes::optional));
    if (signature) files[kSignature] = std::move(*signature);
    return package_of(std::move(files), name);
}

}  // namespace

Packaged<Package> read_package(std::span<const std::uint8_t> zip, const std::string& name) {
    HOST_ASSIGN(PackageFiles files, read_zip(zip, name));
    return package_of(std::move(files), name);
}

Packaged<Package> load_package(const fs::path& path) {
    std::error_code ignored;  // reading says what is wrong
    if (fs::is_directory(path, ignored)) return load_folder(path);
    HOST_ASSIGN(const Bytes zip, read_bytes(path, ZipLimits().package));
    return read_package(zip, path.string());
}

Packaged<Bytes> pack_folder(const fs::path& path, const SecretKey* key) {
    HOST_ASSIGN(const PackageFolder folder, PackageFolder::open(path));
    HOST_ASSIGN(PackageFiles files, read_named(folder, path.string(), Hashes::optional));
    if (key) {
        HOST_ASSIGN(const std::string signature, sign(manifest_of(files), *key));
        files[kSignature] = bytes_of(signature);
    }
    // plugin.toml first: who looks at the start of a file sees what it is.
    std::vector<std::pair<std::string, std::span<const std::uint8_t>>> ordered = {{kDescription, files[kDescription]}};
    for (const auto& [file, bytes] : files)
        if (file != kDescription) ordered.emplace_back(file, bytes);
    HOST_ASSIGN(Bytes zip, write_zip(ordered));
    HOST_TRY(read_package(zip, path.string()));
    return zip;
}

}  // namespace pumice::host
