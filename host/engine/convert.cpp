#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "engine/write_model.hpp"
#include "models/merge.hpp"
#include "weights/parts.hpp"

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t size_on_disk(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) return std::filesystem::file_size(path, ignored);
    std::uint64_t sum = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path, ignored))
        if (entry.is_regular_file(ignored)) sum += entry.file_size(ignored);
    return sum;
}

const char* format_name(OutputFormat format) {
    switch (format) {
        case OutputFormat::safetensors:
            return "safetensors";
        case OutputFormat::checkpoint:
            return "ckpt";
        case OutputFormat::gguf:
            return "gguf";
        case OutputFormat::diffusers:
            break;
    }
    return "diffusers";
}

Json report_of(const OutputModel& model, const std::string& output, OutputFormat format,
               const std::vector<std::string>& notes) {
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sums;  // tensors, bytes
    for (const OutputTensor& t : model.tensors) {
        auto& [tensors, bytes] = sums[to_string(t.dtype)];
        ++tensors;
        bytes += t.byte_count();
    }
    Json dtypes = Json::object();
    for (const auto& [name, sum] : sums) dtypes[name] = {{"tensors", sum.first}, {"bytes", sum.second}};
    return {{"file", output},
            {"format", format_name(format)},
            {"bytes", size_on_disk(output)},
            {"tensors", model.tensors.size()},
            {"dtypes", dtypes},
            {"notes", notes}};
}

Result<std::string> convert(const char* path, const char* output, const pumice_write_options& options) {
    PUMICE_ASSIGN(const WriteTarget target, write_target(output, options));
    PUMICE_ASSIGN(const WeightFile file, open_with_parts(path, options));
    PUMICE_ASSIGN(OutputModel model, output_model(file, {options.prune != 0, options.ema != 0}));
    return write_reported(std::move(model), target, options, file);
}

Result<MergeOptions> merge_options(const pumice_merge_request& request) {
    const auto wrong = [](const std::string& what) { return Error{Code::invalid_argument, what}; };
    const bool difference = request.method == PUMICE_MERGE_ADD_DIFFERENCE;
    if (request.method != PUMICE_MERGE_WEIGHTED_SUM && request.method != PUMICE_MERGE_SLERP && !difference)
        return wrong(fmt::format("method is {}, which is none", int(request.method)));
    if (!request.a || !*request.a || !request.b || !*request.b) return wrong("a merge needs two models, a and b");
    const bool third = request.c && *request.c;
    if (difference != third)
        return wrong(difference ? "add difference needs a third model, c, which b began as"
                                : "only add difference takes a third model");
    MergeOptions options{static_cast<MergeMethod>(request.method), request.alpha, {}};
    if (request.blocks) options.blocks.assign(request.blocks, request.blocks + request.block_count);
    const double most = difference ? 2 : 1;
    const auto out_of_range = [&](double alpha) { return !(alpha >= 0 && alpha <= most); };
    if (out_of_range(options.alpha) || std::any_of(options.blocks.begin(), options.blocks.end(), out_of_range))
        return wrong(fmt::format("alpha, also of blocks, is from 0 to {}", most));
    return options;
}

Result<std::string> merge(const pumice_merge_request& request, const char* output,
                          const pumice_write_options& options) {
    PUMICE_ASSIGN(const MergeOptions how, merge_options(request));
    PUMICE_ASSIGN(const WriteTarget target, write_target(output, options));
    PUMICE_ASSIGN(const WeightFile a, open_with_parts(request.a, options));
    PUMICE_ASSIGN(const WeightFile b, WeightFile::open(request.b));
    std::optional<WeightFile> c;
    if (request.c) {
        PUMICE_ASSIGN(c, WeightFile::open(request.c));
    }
    std::size_t kept = 0;
    PUMICE_ASSIGN(OutputModel model, merged_model(a, b, c ? &*c : nullptr, how, kept));
    if (options.prune) std::erase_if(model.tensors, [](const OutputTensor& t) { return only_for_training(t.name); });
    std::vector<std::string> notes;
    if (kept > 0) notes.push_back(fmt::format("{} tensors that the others lack are {}'s", kept, request.a));
    return write_reported(std::move(model), target, options, a, std::move(notes));
}

}  // namespace

Result<WeightFile> open_with_parts(const char* path, const pumice_write_options& options) {
    auto file = WeightFile::open(path);
    for (const auto& [other, part] :
         {std::pair(options.vae, ModelPart::vae), std::pair(options.text_encoder, ModelPart::text)}) {
        if (!file || !other || !*other) continue;
        PUMICE_ASSIGN(const WeightFile opened, WeightFile::open(other));
        file = with_part(*file, opened, part);
    }
    return file;
}

Result<WriteTarget> write_target(const char* output, const pumice_write_options& options) {
    WriteTarget target{output, output_format_of(output), std::nullopt};
    if (const std::string name = abi::text_or_empty(options.format); !name.empty()) {
        const auto format = output_format(name);
        if (!format)
            return Error{
                Code::invalid_argument,
                fmt::format("format: \"{}\" is not one of safetensors, ckpt, gguf, diffusers", printable(name))};
        target.format = *format;
    }
    if (const std::string name = abi::text_or_empty(options.type); !name.empty()) {
        target.type = weight_type(name);
        if (!target.type)
            return Error{Code::invalid_argument, fmt::format("type: \"{}\" is not one of {}", printable(name),
                                                             fmt::join(weight_type_names(), ", "))};
        if (is_quantized(*target.type) && target.format != OutputFormat::gguf)
            return Error{Code::invalid_argument, fmt::format("type {}: only GGUF has it; name the output .gguf", name)};
        if (size_of(*target.type) == 1 && target.format == OutputFormat::gguf)
            return Error{Code::invalid_argument, fmt::format("type {}: GGUF does not have it; choose q8_0", name)};
    }
    return target;
}

Result<std::string> write_reported(OutputModel model, const WriteTarget& target, const pumice_write_options& options,
                                   const WeightFile& like, std::vector<std::string> notes) {
    set_types(model, target.type, target.format);
    const std::uint64_t total = model.byte_count();
    std::uint64_t done = 0;
    const OnWritten on_written = [&](std::uint64_t bytes) -> Status {
        done += bytes;
        if (options.on_progress) options.on_progress(options.user, done, total);
        if (options.cancel && options.cancel->set) return Error{Code::cancelled, "cancelled"};
        return {};
    };
    const Existing existing = options.overwrite ? Existing::replace : Existing::refuse;
    PUMICE_ASSIGN(const auto more, write_model(model, target.path, target.format, existing, like, on_written));
    notes.insert(notes.end(), more.begin(), more.end());
    return report_of(model, target.path.string(), target.format, notes)
        .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pumice

extern "C" {

pumice_status pumice_convert(const char* model, const char* output, const pumice_write_options* options, char** report,
                             pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!report) return pumice::Error{pumice::Code::invalid_argument, "report is NULL"};
        *report = nullptr;
        if (!model || !*model) return pumice::Error{pumice::Code::invalid_argument, "model is empty"};
        if (!output || !*output) return pumice::Error{pumice::Code::invalid_argument, "output is empty"};
        pumice_write_options values = PUMICE_WRITE_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(const std::string text, pumice::convert(model, output, values));
        *report = pumice::abi::text_to_caller(text);
        return {};
    });
}

pumice_status pumice_merge(const pumice_merge_request* request, const char* output, const pumice_write_options* options,
                           char** report, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!report) return pumice::Error{pumice::Code::invalid_argument, "report is NULL"};
        *report = nullptr;
        if (!output || !*output) return pumice::Error{pumice::Code::invalid_argument, "output is empty"};
        PUMICE_ASSIGN(const pumice_merge_request wanted, pumice::abi::read_struct(request, "request"));
        pumice_write_options values = PUMICE_WRITE_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(const std::string text, pumice::merge(wanted, output, values));
        *report = pumice::abi::text_to_caller(text);
        return {};
    });
}

}  // extern "C"
