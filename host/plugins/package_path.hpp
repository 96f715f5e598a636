// Names of files inside a package.
#pragma once

#include <string>
#include <string_view>

#include "plugins/package_outcome.hpp"

namespace pumice::host {

/// Whether `path` may name a file in a package: "shaders/blur.comp". Parts between slashes of printable ASCII that
/// every system can hold (none of \ : * ? " < > |, no part that ends in a dot or a space or that is a Windows device),
/// at most 200 bytes. Refusal::absolute, traversal or name, with a message that begins with the name.
Packaged<Done> check_path(std::string_view path);

/// The name as a file system sees it that does not tell upper from lower case.
std::string fold_case(std::string_view path);

/// "org.example.sampler": parts of a-z, 0-9, '_' and '-' with dots between, the first character a letter; at most 64
/// characters, and a name that check_path allows, since it is a folder's name.
bool is_plugin_id(std::string_view);

}  // namespace pumice::host
