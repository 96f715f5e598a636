// What functions that write models share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "models/convert.hpp"
#include "pumice/pumice.h"
#include "weights/weight_file.hpp"

namespace pumice {

struct WriteTarget {
    std::filesystem::path path;
    OutputFormat format = OutputFormat::safetensors;
    std::optional<StoredType> type;
};
/// The model's file with the parts that the options take from others.
Result<WeightFile> open_with_parts(const char* path, const pumice_write_options&);

/// Code::invalid_argument for a format or type that is none, or that do not go together.
Result<WriteTarget> write_target(const char* output, const pumice_write_options&);

/// Writes the model in the target's types and gives the report, with `notes` first. `like`: see write_model.
Result<std::string> write_reported(OutputModel, const WriteTarget&, const pumice_write_options&, const WeightFile& like,
                                   std::vector<std::string> notes = {});

}  // namespace pumice
