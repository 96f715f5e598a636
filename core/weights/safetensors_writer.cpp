#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "weights/output_model.hpp"

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

/// Large elements first, so that every tensor is aligned to its own; then by name.
std::vector<const OutputTensor*> in_file_order(const OutputModel& model) {
    std::vector<const OutputTensor*> order;
    for (const OutputTensor& t : model.tensors) order.push_back(&t);
    std::sort(order.begin(), order.end(), [](const OutputTensor* a, const OutputTensor* b) {
        const std::size_t x = size_of(a->dtype), y = size_of(b->dtype);
        return x != y ? x > y : a->name < b->name;
    });
    return order;
}

std::string header_of(const std::map<std::string, std::string>& metadata,
                      const std::vector<const OutputTensor*>& order) {
    Json header = Json::object();
    header["__metadata__"] = metadata;
    std::uint64_t end = 0;
    for (const OutputTensor* t : order) {
        const std::uint64_t begin = end;
        end += t->byte_count();
        header[t->name] = {{"dtype", to_string(t->dtype)}, {"shape", t->shape}, {"data_offsets", {begin, end}}};
    }
    std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
    text.append((8 - text.size() % 8) % 8, ' ');  // the format's way to align the data
    std::string length;
    for (int i = 0; i < 8; ++i) length += static_cast<char>(std::uint64_t(text.size()) >> (8 * i) & 255);
    return length + text;
}

}  // namespace

Status write_safetensors(NewFile& file, const OutputModel& model, const OnWritten& on_written) {
    for (const OutputTensor& t : model.tensors)
        if (is_quantized(t.dtype))
            return Error{Code::unsupported, fmt::format("tensor '{}' is {}, which safetensors does not have; write a "
                                                        ".gguf, or choose a type as fp16",
                                                        printable(t.name), to_string(t.dtype))};
    const auto order = in_file_order(model);
    auto metadata = model.metadata;
    metadata.emplace("format", "pt");  // transformers asks for it
    const std::string header = header_of(metadata, order);
    PUMICE_TRY(file.write(std::as_bytes(std::span(header.data(), header.size()))));
    for (const OutputTensor* t : order) PUMICE_TRY(append_tensor(file, *t, on_written));
    return {};
}

}  // namespace pumice
