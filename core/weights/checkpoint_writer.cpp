// Layouts: torch/serialization.py and torch/_utils.py; PKWARE's APPNOTE.TXT 6.3 for the archive.
#include <zlib.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "weights/output_model.hpp"

namespace pumice {
namespace {

std::string little(std::uint64_t value, std::size_t size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

// ---- The pickle, protocol 2 ----

std::string pickled(std::string_view value) {
    return std::string("X") + little(value.size(), 4).append(value);
}

std::string pickled(std::uint64_t value) {
    if (value < 256) return std::string("K") + little(value, 1);
    if (value < (std::uint64_t(1) << 31)) return std::string("J") + little(value, 4);
    return std::string("\x8a\x09") + little(value, 8) + std::string(1, '\0');  // LONG1, with a byte for the sign
}

std::string pickled(const std::vector<std::uint64_t>& values) {
    std::string tuple = "(";
    for (const std::uint64_t v : values) tuple += pickled(v);
    return tuple + "t";
}

std::string global(const char* module, const char* name) {
    return fmt::format("c{}\n{}\n", module, name);
}

struct TorchType {
    StoredType type;
    const char* storage;  ///< null: an UntypedStorage, with the dtype beside it
    const char* dtype;
};
constexpr TorchType kTorchTypes[] = {
    {StoredType::f64, "DoubleStorage", "float64"},
    {StoredType::f32, "FloatStorage", "float32"},
    {StoredType::f16, "HalfStorage", "float16"},
    {StoredType::bf16, "BFloat16Storage", "bfloat16"},
    {StoredType::i64, "LongStorage", "int64"},
    {StoredType::i32, "IntStorage", "int32"},
    {StoredType::i16, "ShortStorage", "int16"},
    {StoredType::i8, "CharStorage", "int8"},
    {StoredType::u8, "ByteStorage", "uint8"},
    {StoredType::boolean, "BoolStorage", "bool"},
    {StoredType::f8_e4m3, nullptr, "float8_e4m3fn"},
    {StoredType::f8_e5m2, nullptr, "float8_e5m2"},
    {StoredType::u64, nullptr, "uint64"},
    {StoredType::u32, nullptr, "uint32"},
    {StoredType::u16, nullptr, "uint16"},
};

const TorchType* torch_type(StoredType type) {
    for (const TorchType& t : kTorchTypes)
        if (t.type == type) return &t;
    return nullptr;
}

std::vector<std::uint64_t> strides_of(const std::vector<std::uint64_t>& shape) {
    std::vector<std::uint64_t> strides(shape.size(), 1);
    for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::uint64_t>(shape[i], 1);
    return strides;
}

/// A call of torch._utils._rebuild_tensor_v2 (storage, offset, size, stride, requires_grad, backward_hooks), or of its
/// successor, which has the dtype too.
std::string pickled(const OutputTensor& t, const TorchType& type, std::size_t key) {
    const std::string storage =
        type.storage ? global("torch", type.storage) : global("torch.storage", "UntypedStorage");
    const std::uint64_t size = type.storage ? t.element_count() : t.byte_count();
    std::string call = global("torch._utils", type.storage ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    call += std::string("((") + pickled("storage") + storage + pickled(fmt::to_string(key)) + pickled("cpu") +
            pickled(size) + "tQ";
    call += pickled(std::uint64_t(0)) + pickled(t.shape) + pickled(strides_of(t.shape));
    call += std::string("\x89") + global("collections", "OrderedDict") + ")R";
    if (!type.storage) call += global("torch", type.dtype);
    return call + "tR";
}

Result<std::string> pickle_of(const OutputModel& model) {
    std::string pickle = std::string("\x80\x02}(") + pickled("state_dict") + "}(";
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const OutputTensor& t = model.tensors[i];
        const TorchType* type = torch_type(t.dtype);
        if (!type)
            return Error{Code::unsupported,
                         fmt::format("tensor '{}' is {}, which PyTorch does not have; write a .gguf, "
                                     "or choose a type as fp16",
                                     printable(t.name), to_string(t.dtype))};
        pickle += pickled(t.name) + pickled(t, *type, i);
    }
    pickle += "u";
    for (const auto& [key, value] : model.metadata) pickle += pickled(key) + pickled(value);
    return pickle + "u.";
}

// ---- The archive ----

constexpr std::uint64_t kTensorAlignment = 64;  // PyTorch's
constexpr std::uint64_t kLarge = 0xffffffff;    // from here on a number stands in a field of its own
constexpr std::uint16_t kDosDate = 1 << 5 | 1;  // 1980-01-01: the same model gives the same file

class ZipWriter {
public:
    explicit ZipWriter(NewFile& file) : file_(file) {}

    /// `write` appends the entry's `size` bytes to the file, calling its argument for each piece it has appended.
    template <class Write>
    Status add(const std::string& name, std::uint64_t size, Write&& write);
    Status add(const std::string& name, const std::string& contents);
    Status finish();

private:
    struct Entry {
        std::string name;
        std::uint64_t size = 0, place = 0;
        std::uint32_t crc = 0;
    };
    std::string local_header(const Entry&) const;
    static std::string central_header(const Entry&);
    NewFile& file_;
    std::vector<Entry> entries_;
};

/// From "version needed" to the name's length: stored, without flags; sizes that are too large stand as 0xffffffff.
std::string common_fields(std::uint32_t crc, std::uint64_t size, bool wide) {
    const std::uint64_t shown = wide ? kLarge : size;
    return little(wide ? 45 : 20, 2) + little(0, 2) + little(0, 2) + little(0, 2) + little(kDosDate, 2) +
           little(crc, 4) + little(shown, 4) + little(shown, 4);
}

/// With as much of a field that nobody reads as brings the data to a multiple of the alignment.
std::string ZipWriter::local_header(const Entry& e) const {
    const bool wide = e.size >= kLarge;
    std::string extra = wide ? little(1, 2) + little(16, 2) + little(e.size, 8) + little(e.size, 8) : "";
    const std::uint64_t end = e.place + 30 + e.name.size() + extra.size() + 4;
    const std::uint64_t padding = (kTensorAlignment - end % kTensorAlignment) % kTensorAlignment;
    extra += std::string("FB") + little(padding, 2) + std::string(static_cast<std::size_t>(padding), 'Z');
    return std::string("PK\x03\x04") + common_fields(0, e.size, wide) + little(e.name.size(), 2) +
           little(extra.size(), 2) + e.name + extra;
}

std::string ZipWriter::central_header(const Entry& e) {
    const bool wide = e.size >= kLarge, far = e.place >= kLarge;
    std::string numbers = wide ? little(e.size, 8) + little(e.size, 8) : "";
    if (far) numbers += little(e.place, 8);
    const std::string extra = numbers.empty() ? "" : little(1, 2) + little(numbers.size(), 2) + numbers;
    return std::string("PK\x01\x02") + little(wide || far ? 45 : 20, 2) + common_fields(e.crc, e.size, wide) +
           little(e.name.size(), 2) + little(extra.size(), 2) + little(0, 2) + little(0, 2) + little(0, 2) +
           little(0, 4) + little(far ? kLarge : e.place, 4) + e.name + extra;
}

template <class Write>
Status ZipWriter::add(const std::string& name, std::uint64_t size, Write&& write) {
    Entry entry{name, size, file_.size(), 0};
    PUMICE_TRY(file_.write(bytes_of(local_header(entry))));
    auto crc = ::crc32(0, nullptr, 0);
    PUMICE_TRY(write([&](std::span<const std::byte> piece) {
        crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
    }));
    entry.crc = static_cast<std::uint32_t>(crc);
    PUMICE_TRY(file_.patch(entry.place + 14, bytes_of(little(entry.crc, 4))));
    entries_.push_back(std::move(entry));
    return {};
}

Status ZipWriter::add(const std::string& name, const std::string& contents) {
    return add(name, contents.size(), [&](const auto& appended) -> Status {
        appended(bytes_of(contents));
        return file_.write(bytes_of(contents));
    });
}

Status ZipWriter::finish() {
    const std::uint64_t begin = file_.size();
    for (const Entry& e : entries_) PUMICE_TRY(file_.write(bytes_of(central_header(e))));
    const std::uint64_t size = file_.size() - begin, count = entries_.size(), record = file_.size();
    const bool wide = begin >= kLarge || size >= kLarge || count >= 0xffff;
    std::string end;
    if (wide)
        end = std::string("PK\x06\x06") + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 4) + little(0, 4) +
              little(count, 8) + little(count, 8) + little(size, 8) + little(begin, 8) + "PK\x06\x07" + little(0, 4) +
              little(record, 8) + little(1, 4);
    const std::uint64_t shown = std::min<std::uint64_t>(wide ? 0xffff : count, 0xffff);
    end += std::string("PK\x05\x06") + little(0, 2) + little(0, 2) + little(shown, 2) + little(shown, 2) +
           little(wide ? kLarge : size, 4) + little(wide ? kLarge : begin, 4) + little(0, 2);
    return file_.write(bytes_of(end));
}

}  // namespace

Status write_checkpoint(NewFile& file, const OutputModel& model, const OnWritten& on_written) {
    PUMICE_ASSIGN(const std::string pickle, pickle_of(model));
    const std::string root = "archive/";
    ZipWriter zip(file);
    PUMICE_TRY(zip.add(root + "data.pkl", pickle));
    PUMICE_TRY(zip.add(root + "byteorder", "little"));
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
        const OutputTensor& from = model.tensors[i];
        const auto write = [&](const auto& appended) -> Status {
            OutputTensor t = from;
            t.bytes = [&](std::uint64_t begin, std::span<std::byte> to) {
                Status status = from.bytes(begin, to);
                if (status) appended(to);
                return status;
            };
            return append_tensor(file, t, on_written);
        };
        PUMICE_TRY(zip.add(fmt::format("{}data/{}", root, i), from.byte_count(), write));
    }
    PUMICE_TRY(zip.add(root + "version", "3\n"));
    return zip.finish();
}

}  // namespace pumice
