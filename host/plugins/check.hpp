// A plugin's structs, read with suspicion: sizes, pointers, names and ranges are what the SDK's headers say.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "plugins/description.hpp"
#include "plugins/library.hpp"

namespace pumice::plugins {

/// Text from a plugin, fit for one line: at most 500 bytes, no control characters, valid UTF-8.
std::string one_line(std::string_view text);

/// Whether it may be a plugin's id: letters, digits, '.', '-' and '_', at most 64.
bool is_id(const char* text);

/// Code::bad_format says what is wrong.
Result<Description> read_descriptor(const pumice_plugin_descriptor*);
Status read_extensions(const Instance&, Description&);

}  // namespace pumice::plugins
