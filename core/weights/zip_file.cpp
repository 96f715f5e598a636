#include "weights/zip_file.hpp"

#include <functional>
#include <new>
#include <utility>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <locale.h>

#include "weights/stored_tensor.hpp"

namespace pumice {
namespace {

constexpr std::size_t kMaxEntries = 100'000;

/// libarchive takes names through the thread's locale, and a library's caller may have none.
class Utf8Names {
public:
    Utf8Names()
        : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(locale_ ? ::uselocale(locale_) : nullptr) {}
    ~Utf8Names() {
        if (!locale_) return;
        ::uselocale(before_);
        ::freelocale(locale_);
    }
    Utf8Names(const Utf8Names&) = delete;
    Utf8Names& operator=(const Utf8Names&) = delete;

private:
    locale_t locale_, before_;
};

struct Free {
    void operator()(archive* a) const { ::archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, Free>;

Error damaged(const MappedFile& file, const std::string& why) {
    return {Code::bad_format, fmt::format("{}: damaged zip archive: {}", file.path().string(), why)};
}

std::string reason(archive* a) {
    const char* const text = ::archive_error_string(a);
    return text ? printable(text) : "unknown reason";
}

Result<Archive> read_archive(const MappedFile& file) {
    Archive a(::archive_read_new());
    if (!a) return Error{Code::out_of_host_memory, file.path().string() + ": no memory to read the archive"};
    ::archive_read_support_format_zip_seekable(a.get());
    if (::archive_read_open_memory(a.get(), file.bytes().data(), file.bytes().size()) != ARCHIVE_OK)
        return damaged(file, reason(a.get()));
    return a;
}

/// Calls `each` with the archive at every file's entry, until it returns an error or there are no more.
Status for_each_file(const MappedFile& file,
                     const std::function<Status(archive*, const std::string& name, std::uint64_t size)>& each) {
    const Utf8Names names;
    PUMICE_ASSIGN(const Archive a, read_archive(file));
    archive_entry* entry = nullptr;
    for (;;) {
        const int read = ::archive_read_next_header(a.get(), &entry);
        if (read == ARCHIVE_EOF) return {};
        if (read != ARCHIVE_OK && read != ARCHIVE_WARN) {
            // The directory stands at the end: without it libarchive does not see an archive at all.
            const bool cut = ::archive_format(a.get()) == 0;
            return damaged(file, cut ? "its directory is missing: it is truncated" : reason(a.get()));
        }
        if (::archive_entry_filetype(entry) != AE_IFREG) continue;
        const char* const name = ::archive_entry_pathname(entry);
        if (!name) return damaged(file, "an entry's name is no text");
        if (!::archive_entry_size_is_set(entry) || ::archive_entry_size(entry) < 0)
            return damaged(file, fmt::format("entry '{}' has no size", printable(name)));
        PUMICE_TRY(each(a.get(), name, static_cast<std::uint64_t>(::archive_entry_size(entry))));
    }
}

/// The bytes of `file` from `begin` on, where that points into it, else none.
std::span<const std::byte> rest_from(std::span<const std::byte> file, const void* begin) {
    const auto* const at = static_cast<const std::byte*>(begin);
    const auto less = std::less<const std::byte*>();
    if (!at || less(at, file.data()) || !less(at, file.data() + file.size())) return {};
    return file.subspan(static_cast<std::size_t>(at - file.data()));
}

/// The entry at which the archive stands.
Result<ZipEntry> look_at(const MappedFile& file, archive* a, const std::string& name, std::uint64_t size) {
    ZipEntry entry{size, {}, false};
    if (size == 0) return entry;
    const void* block = nullptr;
    std::size_t block_size = 0;
    la_int64_t offset = 0;
    // The first block of a stored entry is a piece of the mapping; of a compressed one, of libarchive's own memory.
    const int read = ::archive_read_data_block(a, &block, &block_size, &offset);
    if (read != ARCHIVE_OK)
        return damaged(file, fmt::format("entry '{}': {}", printable(name),
                                         read == ARCHIVE_EOF ? std::string("is empty") : reason(a)));
    const auto rest = rest_from(file.bytes(), block);
    entry.compressed = rest.empty();
    if (entry.compressed) return entry;
    if (size > rest.size())
        return damaged(file, fmt::format("entry '{}' has {} bytes, but the file ends after {}: it is truncated",
                                         printable(name), size, rest.size()));
    entry.stored = rest.first(static_cast<std::size_t>(size));
    return entry;
}

/// The entry at which the archive stands, whole.
Result<std::vector<std::byte>> inflate(const MappedFile& file, archive* a, const std::string& name,
                                       std::uint64_t size) {
    const auto bad = [&](const std::string& why) {
        return damaged(file, fmt::format("entry '{}': {}", printable(name), why));
    };
    std::vector<std::byte> bytes;
    const void* block = nullptr;
    std::size_t block_size = 0;
    la_int64_t offset = 0;
    for (;;) {
        const int read = ::archive_read_data_block(a, &block, &block_size, &offset);
        if (read == ARCHIVE_EOF) break;
        if (read != ARCHIVE_OK) return bad(reason(a));
        if (static_cast<std::uint64_t>(offset) != bytes.size() || block_size > size - bytes.size())
            return bad(fmt::format("unpacks to more than the {} bytes that it should have", size));
        const auto* const from = static_cast<const std::byte*>(block);
        bytes.insert(bytes.end(), from, from + block_size);
    }
    if (bytes.size() != size) return bad(fmt::format("unpacks to {} bytes instead of {}", bytes.size(), size));
    return bytes;
}

}  // namespace

bool ZipFile::recognized(std::span<const std::byte> file) {
    const std::byte magic[] = {std::byte{'P'}, std::byte{'K'}, std::byte{3}, std::byte{4}};
    return file.size() >= sizeof(magic) && std::equal(std::begin(magic), std::end(magic), file.begin());
}

Result<ZipFile> ZipFile::open(std::shared_ptr<const MappedFile> file) {
    ZipFile zip(std::move(file));
    const auto each = [&zip](archive* a, const std::string& name, std::uint64_t size) -> Status {
        if (zip.entries_.size() == kMaxEntries)
            return damaged(*zip.file_, fmt::format("more than {} entries", kMaxEntries));
        PUMICE_ASSIGN(const ZipEntry entry, look_at(*zip.file_, a, name, size));
        if (zip.entries_.emplace(name, entry).second) return {};
        return damaged(*zip.file_, fmt::format("two entries of the name '{}'", printable(name)));
    };
    PUMICE_TRY(for_each_file(*zip.file_, each));
    return zip;
}

Result<ZipFile::Unpacked> ZipFile::unpack(const std::function<bool(std::string_view)>& wanted,
                                          std::uint64_t limit) const {
    Unpacked unpacked;
    std::uint64_t sum = 0;
    const auto each = [&](archive* a, const std::string& name, std::uint64_t size) -> Status {
        const auto entry = entries_.find(name);
        if (entry == entries_.end() || !entry->second.compressed || !wanted(name)) return {};
        if (size > limit - sum)
            return damaged(*file_,
                           fmt::format("entry '{}' of {} bytes is more than weights pack to", printable(name), size));
        sum += size;
        PUMICE_ASSIGN(auto bytes, inflate(*file_, a, name, size));
        unpacked.emplace(name, std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
        return {};
    };
    PUMICE_TRY(for_each_file(*file_, each));
    return unpacked;
}

}  // namespace pumice
