#include "weights/checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "weights/torch_pickle.hpp"
#include "weights/zip_file.hpp"

namespace pumice {
namespace {

// What may be unpacked: weights pack to half at best, and small files may be mostly zeros.
constexpr std::uint64_t kUnpackedAtLeast = std::uint64_t(64) << 20, kUnpackedTimes = 16;
constexpr std::uint64_t kMaxPickle = std::uint64_t(256) << 20;

constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // 0x1950a86a20f9469cfc6c
constexpr std::int64_t kLegacyProtocol = 1001;

using Bytes = std::span<const std::byte>;
using Kind = PickleValue::Kind;

std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_pickle(Bytes file) {
    const std::string_view text = text_of(file.first(std::min<std::size_t>(file.size(), 3)));
    return text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5;  // protocol 2 or later
}

/// Where tensors become contents: in the mapping, or gathered in memory.
class Placer {
public:
    Placer(WeightContents& contents, std::uint64_t file_size)
        : contents_(contents), left_(std::max(kUnpackedAtLeast, kUnpackedTimes * file_size)) {}
    /// `storage`: all bytes under the tensor's key.
    Status place(const TorchTensor&, Bytes storage);
    std::uint64_t left() const { return left_; }
    void spend(std::uint64_t bytes) { left_ -= bytes; }

private:
    Error bad(const TorchTensor& t, const std::string& why) const {
        return {Code::bad_format, fmt::format("{}: tensor '{}': {}", contents_.path.string(), printable(t.name), why)};
    }
    WeightContents& contents_;
    std::uint64_t left_;
};

/// The last element that is touched, counted from the first; nothing when the number does not fit.
std::optional<std::uint64_t> last_element(const TorchTensor& t) {
    std::uint64_t last = t.offset, part = 0;
    for (std::size_t i = 0; i < t.shape.size(); ++i)
        if (__builtin_mul_overflow(t.shape[i] - 1, t.strides[i], &part) || __builtin_add_overflow(last, part, &last))
            return std::nullopt;
    return last;
}

bool is_dense(const TorchTensor& t) {
    std::uint64_t stride = 1;
    for (std::size_t i = t.shape.size(); i-- > 0;) {
        if (t.shape[i] != 1 && t.strides[i] != stride) return false;
        stride *= t.shape[i];
    }
    return true;
}

/// Elements in row-major order, from wherever the strides put them.
std::vector<std::byte> gathered(const TorchTensor& t, Bytes storage, std::uint64_t bytes) {
    const std::size_t element = size_of(t.dtype), rank = t.shape.size();
    std::vector<std::byte> dense(static_cast<std::size_t>(bytes));
    std::vector<std::uint64_t> index(rank);
    std::uint64_t from = t.offset;
    for (std::size_t to = 0; to < dense.size(); to += element) {
        std::memcpy(dense.data() + to, storage.data() + from * element, element);
        for (std::size_t axis = rank; axis-- > 0;) {
            from += t.strides[axis];
            if (++index[axis] < t.shape[axis]) break;
            from -= t.strides[axis] * t.shape[axis];
            index[axis] = 0;
        }
    }
    return dense;
}

Status Placer::place(const TorchTensor& t, Bytes storage) {
    const std::uint64_t view = t.storage.offset * (t.storage.bytes() / std::max<std::uint64_t>(t.storage.elements, 1));
    if (view > storage.size() || t.storage.bytes() > storage.size() - view)
        return bad(t, fmt::format("its storage has {} bytes, but {} are needed: the file is truncated", storage.size(),
                                  view + t.storage.bytes()));
    storage = storage.subspan(static_cast<std::size_t>(view), static_cast<std::size_t>(t.storage.bytes()));
    const std::size_t element = size_of(t.dtype);
    const auto bytes = shape_bytes(t.shape, t.dtype);
    if (!bytes) return bad(t, fmt::format("shape {} overflows", shape_string(t.shape)));
    StoredTensor stored{t.name, t.dtype, t.shape, {}};
    if (*bytes > 0) {
        const auto last = last_element(t);
        if (!last || *last >= storage.size() / element)
            return bad(t, fmt::format("shape {} reaches outside of its storage of {} elements", shape_string(t.shape),
                                      storage.size() / element));
        if (is_dense(t)) {
            stored.data =
                storage.subspan(static_cast<std::size_t>(t.offset * element), static_cast<std::size_t>(*bytes));
        } else {
            if (*bytes > left_) return bad(t, fmt::format("{} bytes from a storage that has fewer", *bytes));
            spend(*bytes);
            auto dense = std::make_shared<const std::vector<std::byte>>(gathered(t, storage, *bytes));
            stored.data = *dense;
            contents_.buffers.push_back(std::move(dense));
        }
    }
    contents_.tensors.push_back(std::move(stored));
    return {};
}

Error in_file(const MappedFile& file, const Error& error) {
    return {error.code, fmt::format("{}: {}", file.path().string(), error.message)};
}

Error bad(const MappedFile& file, const std::string& why) {
    return {Code::bad_format, fmt::format("{}: {}", file.path().string(), why)};
}

/// A tensor is what every reader of weights expects.
Result<WeightFile> finished(WeightContents contents, const MappedFile& file) {
    if (contents.tensors.empty()) return bad(file, "a PyTorch file without any tensors");
    return WeightFile::create(std::move(contents));
}

// ---- The zip layout: NAME/data.pkl and NAME/data/KEY ----

/// The folder of the archive that has a data.pkl, with its slash.
Result<std::string> root_folder(const ZipFile& zip) {
    for (const auto& [name, entry] : zip.entries()) {
        const std::size_t slash = name.find('/');
        if (slash != std::string::npos && name.substr(slash + 1) == "data.pkl") {
            const std::string root = name.substr(0, slash + 1);
            if (zip.entries().count(root + "constants.pkl") > 0)
                return bad(*zip.file(), "a TorchScript program, not a checkpoint: save the model's state_dict instead");
            return root;
        }
    }
    return bad(*zip.file(), "a zip archive without a data.pkl: no PyTorch checkpoint");
}

/// The bytes of entries, unpacked where need be.
class Entries {
public:
    explicit Entries(const ZipFile& zip) : zip_(zip) {}
    Status unpack(const std::function<bool(std::string_view)>& wanted, std::uint64_t limit);
    std::optional<Bytes> find(const std::string& name) const;
    std::uint64_t unpacked_bytes() const;
    /// Hands over what was unpacked under `prefix`.
    void move_to(std::vector<std::shared_ptr<const void>>& buffers, std::string_view prefix) const;

private:
    const ZipFile& zip_;
    ZipFile::Unpacked unpacked_;
};

Status Entries::unpack(const std::function<bool(std::string_view)>& wanted, std::uint64_t limit) {
    const auto& entries = zip_.entries();
    if (std::none_of(entries.begin(), entries.end(),
                     [&](const auto& e) { return e.second.compressed && wanted(e.first); }))
        return {};
    PUMICE_ASSIGN(auto more, zip_.unpack(wanted, limit));
    unpacked_.merge(more);
    return {};
}

std::optional<Bytes> Entries::find(const std::string& name) const {
    const auto entry = zip_.entries().find(name);
    if (entry == zip_.entries().end()) return std::nullopt;
    if (!entry->second.compressed) return entry->second.stored;
    const auto found = unpacked_.find(name);
    if (found == unpacked_.end()) return std::nullopt;
    return Bytes(*found->second);
}

std::uint64_t Entries::unpacked_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [name, bytes] : unpacked_) sum += bytes->size();
    return sum;
}

void Entries::move_to(std::vector<std::shared_ptr<const void>>& buffers, std::string_view prefix) const {
    for (const auto& [name, bytes] : unpacked_)
        if (name.starts_with(prefix)) buffers.push_back(bytes);
}

Result<WeightFile> open_zip(const std::shared_ptr<const MappedFile>& file) {
    PUMICE_ASSIGN(const ZipFile zip, ZipFile::open(file));
    PUMICE_ASSIGN(const std::string root, root_folder(zip));
    Entries entries(zip);
    PUMICE_TRY(entries.unpack([&](std::string_view n) { return n == root + "data.pkl" || n == root + "byteorder"; },
                              kMaxPickle));
    if (const auto order = entries.find(root + "byteorder"); order && text_of(*order).starts_with("big"))
        return bad(*file, "its numbers are big-endian: save it again on a little-endian machine");
    const auto pickled = entries.find(root + "data.pkl");
    if (!pickled || pickled->size() > kMaxPickle)
        return bad(*file, fmt::format("its pickle has more than {} bytes", kMaxPickle));
    auto pickle = Pickle::parse(*pickled, torch_allows);
    if (!pickle) return in_file(*file, pickle.error());
    auto weights = torch_weights(*pickle);
    if (!weights) return in_file(*file, weights.error());

    WeightContents contents{FileFormat::torch_zip, file->path(), std::move(weights->metadata), {}, {file}, {}};
    Placer placer(contents, file->bytes().size());
    std::set<std::string, std::less<>> used;
    for (const TorchTensor& t : weights->tensors) used.insert(root + "data/" + t.storage.key);
    const std::uint64_t before = entries.unpacked_bytes();
    PUMICE_TRY(entries.unpack([&](std::string_view n) { return used.count(n) > 0; }, placer.left()));
    placer.spend(entries.unpacked_bytes() - before);
    for (const TorchTensor& t : weights->tensors) {
        const auto storage = entries.find(root + "data/" + t.storage.key);
        if (!storage)
            return bad(*file, fmt::format("tensor '{}': its storage '{}data/{}' is missing", printable(t.name),
                                          printable(root), printable(t.storage.key)));
        PUMICE_TRY(placer.place(t, *storage));
    }
    entries.move_to(contents.buffers, root + "data/");
    return finished(std::move(contents), *file);
}

// ---- The layout before PyTorch 1.6: five pickles, then for each storage its number of elements and its bytes ----

Result<Pickle> next_pickle(const MappedFile& file, Bytes& rest) {
    auto pickle = Pickle::parse(rest.first(std::min<std::size_t>(rest.size(), kMaxPickle)), torch_allows);
    if (!pickle) return in_file(file, pickle.error());
    rest = rest.subspan(pickle->bytes());
    return pickle;
}

/// Magic number, protocol and what machine it was.
Status read_legacy_start(const MappedFile& file, Bytes& rest) {
    PUMICE_ASSIGN(const Pickle magic, next_pickle(file, rest));
    if (magic.root().kind != Kind::big || magic.root().text != kLegacyMagic)
        return bad(file, "a pickle, but no PyTorch checkpoint");
    PUMICE_ASSIGN(const Pickle protocol, next_pickle(file, rest));
    if (protocol.root().kind != Kind::integer || protocol.root().integer != kLegacyProtocol)
        return bad(file, "a PyTorch checkpoint of an unknown protocol");
    PUMICE_ASSIGN(const Pickle system, next_pickle(file, rest));
    const PickleValue* const little = system.find(system.root(), "little_endian");
    if (!little || little->kind != Kind::boolean)
        return bad(file, "a PyTorch checkpoint that does not tell its byte order");
    if (little->integer == 0) return bad(file, "its numbers are big-endian: save it again on a little-endian machine");
    return {};
}

using Storages = std::unordered_map<std::string, Bytes>;

Result<Storages> read_storages(const MappedFile& file, const Pickle& pickle, Bytes& rest) {
    std::unordered_map<std::string, std::size_t> element_sizes;
    for (PickleId id = 0; id < pickle.size(); ++id) {
        if (pickle[id].kind != Kind::persistent) continue;
        const auto storage = torch_storage(pickle, pickle[id]);
        if (!storage) return in_file(file, storage.error());
        element_sizes[storage->key] = storage->type ? size_of(*storage->type) : 1;
    }
    PUMICE_ASSIGN(const Pickle keys, next_pickle(file, rest));
    Storages storages;
    for (const PickleId id : keys.root().items) {
        const std::string key(keys[id].text);
        const auto element = element_sizes.find(key);
        if (element == element_sizes.end())
            return bad(file, fmt::format("storage '{}' belongs to no tensor", printable(key)));
        std::uint64_t count = 0;
        const bool has_count = rest.size() >= sizeof(count);
        if (has_count) std::memcpy(&count, rest.data(), sizeof(count));
        if (!has_count || count > (rest.size() - sizeof(count)) / element->second)
            return bad(file, fmt::format("storage '{}' is not whole: the file is truncated", printable(key)));
        storages[key] = rest.subspan(sizeof(count), static_cast<std::size_t>(count) * element->second);
        rest = rest.subspan(sizeof(count) + static_cast<std::size_t>(count) * element->second);
    }
    return storages;
}

Result<WeightFile> open_legacy(const std::shared_ptr<const MappedFile>& file) {
    Bytes rest = file->bytes();
    PUMICE_TRY(read_legacy_start(*file, rest));
    PUMICE_ASSIGN(const Pickle pickle, next_pickle(*file, rest));
    auto weights = torch_weights(pickle);
    if (!weights) return in_file(*file, weights.error());
    PUMICE_ASSIGN(const Storages storages, read_storages(*file, pickle, rest));
    if (!rest.empty()) return bad(*file, fmt::format("{} bytes after the last storage", rest.size()));

    WeightContents contents{FileFormat::torch_legacy, file->path(), std::move(weights->metadata), {}, {file}, {}};
    Placer placer(contents, file->bytes().size());
    for (const TorchTensor& t : weights->tensors) {
        const auto storage = storages.find(t.storage.key);
        if (storage == storages.end())
            return bad(*file, fmt::format("tensor '{}': its storage '{}' is missing", printable(t.name),
                                          printable(t.storage.key)));
        PUMICE_TRY(placer.place(t, storage->second));
    }
    return finished(std::move(contents), *file);
}

}  // namespace

bool is_checkpoint(Bytes file) {
    return ZipFile::recognized(file) || is_pickle(file);
}

Result<WeightFile> open_checkpoint(std::shared_ptr<const MappedFile> file) {
    return ZipFile::recognized(file->bytes()) ? open_zip(file) : open_legacy(file);
}

}  // namespace pumice
