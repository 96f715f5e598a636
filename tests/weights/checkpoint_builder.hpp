// Makes PyTorch checkpoints for tests, opcode by opcode.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <nlohmann/json.hpp>

namespace pumice::test {

/// A pickle of protocol 2.
class PickleWriter {
public:
    PickleWriter() : bytes_("\x80\x02") {}
    PickleWriter& raw(std::string_view bytes) {
        bytes_ += bytes;
        return *this;
    }
    PickleWriter& number(std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 255);
        return *this;
    }
    PickleWriter& integer(std::int64_t value) {
        if (value >= 0 && value < 256) return raw("K").number(static_cast<std::uint64_t>(value), 1);
        return raw(std::string_view("\x8a\x08", 2)).number(static_cast<std::uint64_t>(value), 8);
    }
    PickleWriter& text(std::string_view value) { return raw("X").number(value.size(), 4).raw(value); }
    PickleWriter& global(std::string_view module, std::string_view name) {
        return raw("c").raw(module).raw("\n").raw(name).raw("\n");
    }
    PickleWriter& tuple(const std::vector<std::uint64_t>& values) {
        raw("(");
        for (const std::uint64_t v : values) integer(static_cast<std::int64_t>(v));
        return raw("t");
    }
    /// ('storage', torch.TYPE, KEY, 'cpu', elements), by reference.
    PickleWriter& storage(std::string_view type, std::string_view key, std::uint64_t elements,
                          std::string_view view = "") {
        raw("(")
            .text("storage")
            .global(type == "UntypedStorage" ? "torch.storage" : "torch", type)
            .text(key)
            .text("cpu");
        return integer(static_cast<std::int64_t>(elements)).raw(view).raw("tQ");
    }
    /// What follows the storage of a tensor, and the call. The caller began with rebuild().
    PickleWriter& rebuild() { return global("torch._utils", "_rebuild_tensor_v2").raw("("); }
    PickleWriter& rebuilt(std::uint64_t offset, const std::vector<std::uint64_t>& shape,
                          const std::vector<std::uint64_t>& strides) {
        integer(static_cast<std::int64_t>(offset)).tuple(shape).tuple(strides).raw("\x89");
        return global("collections", "OrderedDict").raw(")RtR");
    }
    PickleWriter& tensor(std::string_view type, std::string_view key, std::uint64_t elements,
                         const std::vector<std::uint64_t>& shape, const std::vector<std::uint64_t>& strides,
                         std::uint64_t offset = 0) {
        return rebuild().storage(type, key, elements).rebuilt(offset, shape, strides);
    }
    std::string done() const { return bytes_ + "."; }

private:
    std::string bytes_;
};

using Entries = std::vector<std::pair<std::string, std::string>>;

/// A zip archive, its entries stored or compressed.
inline std::string zip_archive(const Entries& entries, bool compressed = false) {
    std::size_t size = 4096;
    for (const auto& [name, data] : entries) size += 2 * data.size() + 4096;
    std::string bytes(size, '\0');
    std::size_t used = 0;
    archive* const a = archive_write_new();
    archive_write_set_format_zip(a);
    archive_write_set_options(a, compressed ? "zip:compression=deflate" : "zip:compression=store");
    archive_write_set_bytes_in_last_block(a, 1);
    bool good = archive_write_open_memory(a, bytes.data(), bytes.size(), &used) == ARCHIVE_OK;
    for (const auto& [name, data] : entries) {
        archive_entry* const entry = archive_entry_new();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_size(entry, static_cast<la_int64_t>(data.size()));
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        good = good && archive_write_header(a, entry) == ARCHIVE_OK &&
               archive_write_data(a, data.data(), data.size()) == static_cast<la_ssize_t>(data.size());
        archive_entry_free(entry);
    }
    good = archive_write_close(a) == ARCHIVE_OK && good;
    archive_write_free(a);
    if (!good) throw std::runtime_error("cannot make the archive");
    return bytes.substr(0, used);
}

/// torch.save's zip layout.
inline std::string zip_checkpoint(const std::string& pickle, const Entries& storages, bool compressed = false) {
    Entries entries{{"model/data.pkl", pickle}};
    for (const auto& [key, data] : storages) entries.emplace_back("model/data/" + key, data);
    entries.emplace_back("model/version", "3\n");
    return zip_archive(entries, compressed);
}

/// The layout before PyTorch 1.6; `storages` with the size of an element.
struct LegacyStorage {
    std::string key, data;
    std::uint64_t element = 4;
};
inline std::string legacy_checkpoint(const std::string& pickle, const std::vector<LegacyStorage>& storages,
                                     bool little_endian = true) {
    std::string file("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", 21);
    PickleWriter system, keys;
    system.raw("}(")
        .text("protocol_version")
        .raw("M\xe9\x03")
        .text("little_endian")
        .raw(little_endian ? "\x88" : "\x89");
    file += system.raw("u").done() + pickle;
    keys.raw("](");
    for (const LegacyStorage& s : storages) keys.text(s.key);
    file += keys.raw("e").done();
    for (const LegacyStorage& s : storages) {
        const std::uint64_t count = s.data.size() / s.element;
        file.append(reinterpret_cast<const char*>(&count), 8).append(s.data);
    }
    return file;
}

/// Calls each(name, entry, bytes) for all tensors of a safetensors file's header and data.
template <class Each>
void for_each_tensor(const std::string& header, const std::string& data, Each&& each) {
    const auto json = nlohmann::json::parse(header);
    for (const auto& [name, entry] : json.items()) {
        if (name == "__metadata__") continue;
        const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
        each(name, entry, data.substr(begin, end - begin));
    }
}

/// A safetensors file as a checkpoint of the old layout, its tensors in a dictionary of the name `wrapper`.
inline std::string legacy_checkpoint_of(const std::string& header, const std::string& data, std::string_view wrapper) {
    const std::map<std::string, std::pair<const char*, std::uint64_t>> types = {{"F16", {"HalfStorage", 2}},
                                                                                {"BF16", {"BFloat16Storage", 2}},
                                                                                {"F32", {"FloatStorage", 4}},
                                                                                {"I64", {"LongStorage", 8}}};
    PickleWriter pickle;
    pickle.raw("}").text(wrapper).raw("}(");
    std::vector<LegacyStorage> storages;
    for_each_tensor(header, data, [&](const std::string& name, const nlohmann::json& entry, const std::string& bytes) {
        const auto& [type, size] = types.at(entry["dtype"].get<std::string>());
        const std::vector<std::uint64_t> shape = entry["shape"];
        std::vector<std::uint64_t> strides(shape.size(), 1);
        for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
        const std::string key = std::to_string(storages.size());
        pickle.text(name).tensor(type, key, bytes.size() / size, shape, strides);
        storages.push_back({key, bytes, size});
    });
    return legacy_checkpoint(pickle.raw("us").done(), storages);
}

}  // namespace pumice::test
