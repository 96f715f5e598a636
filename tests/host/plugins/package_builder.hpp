// Packages to install and packages to refuse.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/checkpoint.hpp"
#include "plugins/package.hpp"

namespace pumice::test {

inline host::Bytes bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}

/// One entry of a zip, as wrong as one likes.
struct Entry {
    std::string name, content = {};
    std::string link = {};  ///< a symbolic link to this
    bool folder = false;
};

struct ZipOptions {
    bool encrypted = false;
    bool stored = false;
};

inline la_ssize_t append_to_string(archive*, void* to, const void* data, std::size_t size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
}

inline std::string make_zip(const std::vector<Entry>& entries, ZipOptions options = {}) {
    std::string zip;
    archive* out = archive_write_new();
    const auto require = [&](int result) {
        if (result != ARCHIVE_OK) throw std::runtime_error(archive_error_string(out));
    };
    require(archive_write_set_format_zip(out));
    require(options.stored ? archive_write_zip_set_compression_store(out)
                           : archive_write_zip_set_compression_deflate(out));
    if (options.encrypted) {
        require(archive_write_set_options(out, "zip:encryption=zipcrypt"));
        require(archive_write_set_passphrase(out, "secret"));
    }
    require(archive_write_set_bytes_per_block(out, 0));
    require(archive_write_open(out, &zip, nullptr, append_to_string, nullptr));
    for (const Entry& entry : entries) {
        archive_entry* header = archive_entry_new();
        archive_entry_set_pathname(header, entry.name.c_str());
        archive_entry_set_filetype(header, entry.folder ? AE_IFDIR : entry.link.empty() ? AE_IFREG : AE_IFLNK);
        archive_entry_set_perm(header, 0644);
        if (!entry.link.empty()) archive_entry_set_symlink(header, entry.link.c_str());
        if (!entry.folder && entry.link.empty())
            archive_entry_set_size(header, static_cast<la_int64_t>(entry.content.size()));
        require(archive_write_header(out, header));
        if (!entry.folder && entry.link.empty()) archive_write_data(out, entry.content.data(), entry.content.size());
        archive_entry_free(header);
    }
    require(archive_write_close(out));
    archive_write_free(out);
    return zip;
}

/// What a plugin.toml is made of.
struct Wanted {
    std::string id = "org.example.golden";
    std::string version = "1.0.0";
    std::string library = "golden.so";
    std::string library_content = "the library";
    std::string platform = std::string(host::host_platform());
    std::string sha256 = {};  ///< empty: the right one
    std::uint32_t sdk = 1;
    std::vector<std::pair<std::string, std::string>> files = {{"LICENSE", "You may."}, {"shaders/a.comp", "main"}};
};

inline std::string description(const Wanted& wanted) {
    std::string files;
    for (const auto& [name, content] : wanted.files) files += (files.empty() ? "\"" : ", \"") + name + "\"";
    return "id = \"" + wanted.id + "\"\nname = \"Golden ratio\"\nversion = \"" + wanted.version +
           "\"\nvendor = \"Ada\"\nlicence = \"MIT\"\nsdk = " + std::to_string(wanted.sdk) +
           "\nextensions = [\"pumice.sampler/1\"]\nfiles = [" + files + "]\n\n[libraries." + wanted.platform +
           "]\nfile = \"" + wanted.library + "\"\nsha256 = \"" +
           (wanted.sha256.empty() ? host::sha256(bytes_of(wanted.library_content)) : wanted.sha256) + "\"\n";
}

/// A whole unsigned package, as entries to change.
inline std::vector<Entry> entries_of(const Wanted& wanted = {}) {
    std::vector<Entry> entries = {{host::kDescriptionFile.data(), description(wanted)},
                                  {wanted.library, wanted.library_content}};
    for (const auto& [name, content] : wanted.files) entries.push_back({name, content});
    return entries;
}

inline std::string package(const Wanted& wanted = {}) {
    return make_zip(entries_of(wanted));
}

inline std::string signed_package(const host::SecretKey& key, const Wanted& wanted = {}) {
    std::vector<Entry> entries = entries_of(wanted);
    host::PackageFiles files;
    for (const Entry& entry : entries) files[entry.name] = bytes_of(entry.content);
    entries.push_back({host::kSignatureFile.data(), *host::sign(host::manifest_of(files), key)});
    return make_zip(entries);
}

inline host::Packaged<host::Package> read(const std::string& zip) {
    return host::read_package({reinterpret_cast<const std::uint8_t*>(zip.data()), zip.size()}, "FILE");
}

/// The files of a package in a folder, as an author has them: no hash, and more than belongs to it.
inline void write_project(const std::filesystem::path& folder, const Wanted& wanted = {}) {
    for (const Entry& entry : entries_of(wanted)) {
        std::filesystem::create_directories((folder / entry.name).parent_path());
        write_file(folder / entry.name, entry.content);
    }
    std::string toml = description(wanted);
    toml.erase(toml.find("sha256"));
    write_file(folder / host::kDescriptionFile, "# by Ada\n" + toml);
    write_file(folder / "golden.c", "source");
}

/// Every name below a folder with its content, or what it is; the lock's file is left out.
inline std::map<std::string, std::string> tree(const std::filesystem::path& folder) {
    std::map<std::string, std::string> all;
    if (!std::filesystem::exists(folder)) return all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string name = std::filesystem::relative(entry.path(), folder).string();
        if (entry.path().filename() == ".lock") continue;
        all[name] = entry.is_regular_file() ? read_file(entry.path()) : entry.is_directory() ? "(folder)" : "(other)";
    }
    return all;
}

}  // namespace pumice::test
