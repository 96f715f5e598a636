#include "plugins/package_zip.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "outcome.hpp"
#include "plugins/package_path.hpp"

namespace pumice::host {
namespace {

struct FreeArchive {
    void operator()(archive* p) const { archive_free(p); }
};
struct FreeEntry {
    void operator()(archive_entry* p) const { archive_entry_free(p); }
};
using Archive = std::unique_ptr<archive, FreeArchive>;
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

/// What the library says, in one line.
std::string reason(archive* from) {
    const char* text = archive_error_string(from);
    return text ? printable(text, 300) : "no reason given";
}

/// Reads one zip, entry by entry.
class ZipReader {
public:
    ZipReader(std::span<const std::uint8_t> zip, const std::string& name, const ZipLimits& limits)
        : zip_(zip), name_(name), limits_(limits), archive_(archive_read_new()) {}

    Packaged<PackageFiles> read() {
        if (zip_.size() > limits_.package)
            return refused(Refusal::too_large, fmt::format("larger than {} MiB", limits_.package >> 20));
        HOST_TRY(open());
        for (;;) {
            archive_entry* entry = nullptr;
            const int result = archive_read_next_header(archive_.get(), &entry);
            if (result == ARCHIVE_EOF) break;
            if (entry && archive_entry_is_encrypted(entry)) return encrypted();
            if (result != ARCHIVE_OK) {
                if (archive_read_has_encrypted_entries(archive_.get()) > 0) return encrypted();
                return damaged(reason(archive_.get()));
            }
            HOST_TRY(take(entry));
        }
        HOST_TRY(check_folders());
        return std::move(files_);
    }

private:
    PackageFailure refused(Refusal why, const std::string& what) const {
        return {why, fmt::format("{}: {}", name_, what)};
    }
    PackageFailure encrypted() const {
        return refused(Refusal::encrypted, "it holds encrypted files; packages are never encrypted");
    }
    Failure damaged(const std::string& why) const {
        return {PUMICE_BAD_FORMAT, fmt::format("{}: no package, or a damaged one: {}", name_, why)};
    }

    /// Only zip, by its directory at the end, and without any filter around it.
    Packaged<Done> open() {
        if (!archive_) return Failure{PUMICE_OUT_OF_HOST_MEMORY, "out of memory"};
        if (zip_.size() < 4 || zip_[0] != 'P' || zip_[1] != 'K') return damaged("it is not a zip file");
        if (archive_read_support_format_zip_seekable(archive_.get()) != ARCHIVE_OK ||
            archive_read_open_memory(archive_.get(), zip_.data(), zip_.size()) != ARCHIVE_OK)
            return damaged(reason(archive_.get()));
        return Done{};
    }

    Packaged<Done> take(archive_entry* entry) {
        const char* given = archive_entry_pathname(entry);
        if (!given) return refused(Refusal::name, "a file has a name that is not plain ASCII");
        std::string path = given;
        const auto type = archive_entry_filetype(entry);
        if (type != AE_IFREG && type != AE_IFDIR)
            return refused(Refusal::link,
                           fmt::format("{} is {}; a package holds plain files only", printable(path),
                                       type == AE_IFLNK ? "a symbolic link" : "neither file nor folder"));
        if (archive_entry_hardlink(entry))
            return refused(Refusal::link,
                           fmt::format("{} is a hard link; a package holds plain files only", printable(path)));
        if (++entries_ > limits_.files)
            return refused(Refusal::too_large, fmt::format("more than {} files", limits_.files));
        if (type == AE_IFDIR && path.ends_with('/')) path.pop_back();
        if (auto checked = check_path(path); !checked)
            return refused(checked.failure().refusal, checked.failure().message);
        if (type == AE_IFDIR) return Done{};
        if (!seen_.insert(fold_case(path)).second)
            return refused(Refusal::duplicate,
                           fmt::format("{} is there twice, if upper and lower case are one", printable(path)));
        HOST_TRY(check_compression(path));
        return content(path);
    }

    /// libarchive names the method of the entry at hand in the format's name: "ZIP 2.0 (deflation)". The other methods
    /// it can read are left out since nobody needs them here, and some take gigabytes to unpack a few bytes.
    Packaged<Done> check_compression(const std::string& path) const {
        const char* text = archive_format_name(archive_.get());
        const std::string_view format = text ? text : "";
        if (format.ends_with("(uncompressed)") || format.ends_with("(deflation)")) return Done{};
        return refused(Refusal::compression, fmt::format("{} is neither stored nor deflated; pack with `pumice plugins "
                                                         "pack`, or a zip program's usual settings",
                                                         path));
    }

    Packaged<Done> content(const std::string& path) {
        constexpr std::size_t kBlock = 65536;
        Bytes& bytes = files_[path];
        for (;;) {
            const std::size_t before = bytes.size();
            bytes.resize(before + kBlock);
            const la_ssize_t got = archive_read_data(archive_.get(), bytes.data() + before, kBlock);
            bytes.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
            if (got < 0) return damaged(fmt::format("{}: {}", path, reason(archive_.get())));
            if (got == 0) break;
            unpacked_ += static_cast<std::size_t>(got);
            if (unpacked_ > limits_.unpacked)
                return refused(Refusal::too_large, fmt::format("unpacks to more than {} MiB", limits_.unpacked >> 20));
            if (unpacked_ > limits_.ratio_from && unpacked_ / limits_.ratio > zip_.size())
                return refused(Refusal::too_large,
                               fmt::format("unpacks to more than {} times its size", limits_.ratio));
        }
        bytes.shrink_to_fit();
        return Done{};
    }

    /// "a" and "a/b" cannot both be files.
    Packaged<Done> check_folders() const {
        for (const std::string& path : seen_)
            for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
                if (seen_.count(path.substr(0, slash)) != 0)
                    return refused(Refusal::duplicate,
                                   fmt::format("{} is both a file and a folder", path.substr(0, slash)));
        return Done{};
    }

    std::span<const std::uint8_t> zip_;
    const std::string& name_;
    const ZipLimits& limits_;
    Archive archive_;
    PackageFiles files_;
    std::set<std::string> seen_;  ///< fold_case of the names
    std::size_t entries_ = 0, unpacked_ = 0;
};

la_ssize_t append(archive*, void* to, const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    try {
        static_cast<Bytes*>(to)->insert(static_cast<Bytes*>(to)->end(), bytes, bytes + size);
    } catch (const std::exception&) {
        return -1;
    }
    return static_cast<la_ssize_t>(size);
}

}  // namespace

Packaged<PackageFiles> read_zip(std::span<const std::uint8_t> zip, const std::string& name, const ZipLimits& limits) {
    return ZipReader(zip, name, limits).read();
}

Expected<Bytes> write_zip(const std::vector<std::pair<std::string, std::span<const std::uint8_t>>>& files) {
    Bytes zip;
    const Archive out(archive_write_new());
    const auto failed = [&] { return Failure{PUMICE_INTERNAL, "cannot write the package: " + reason(out.get())}; };
    if (!out || archive_write_set_format_zip(out.get()) != ARCHIVE_OK ||
        archive_write_zip_set_compression_deflate(out.get()) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(out.get(), 0) != ARCHIVE_OK ||
        archive_write_open(out.get(), &zip, nullptr, append, nullptr) != ARCHIVE_OK)
        return failed();
    for (const auto& [path, bytes] : files) {
        const Entry entry(archive_entry_new());
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), 0644);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
        // Zip's times are local; those before 1980 become the first day of it in every zone.
        archive_entry_set_mtime(entry.get(), 0, 0);
        if (archive_write_header(out.get(), entry.get()) != ARCHIVE_OK) return failed();
        if (archive_write_data(out.get(), bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size()))
            return failed();
    }
    if (archive_write_close(out.get()) != ARCHIVE_OK) return failed();
    return zip;
}

}  // namespace pumice::host
