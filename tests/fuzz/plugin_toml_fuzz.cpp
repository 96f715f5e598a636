// A plugin.toml of any bytes: a description that is written and read the same, or one line that names the file.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "plugins/install_keys.hpp"
#include "plugins/package_path.hpp"
#include "plugins/package_toml.hpp"

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

void check_message(const std::string& message) {
    require(message.starts_with("FILE:"), "the message names the file");
    require(message.find('\n') == std::string::npos, "the message is one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pumice::host;
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto keys = parse_keys(text, "FILE"); !keys) check_message(keys.failure().message);
    const auto strict = parse_description(text, "FILE", Hashes::required);
    const auto read = parse_description(text, "FILE", Hashes::optional);
    require(!strict || read, "what has all hashes is read without need for them");
    if (!read) {
        check_message(read.failure().message);
        return 0;
    }
    require(is_plugin_id(read->id), "the id is one");
    require(!read->libraries.empty() && !read->extensions.empty(), "a library and an extension are named");
    for (const std::string& file : read->files) require(static_cast<bool>(check_path(file)), "names stay inside");
    for (const auto& [platform, library] : read->libraries)
        require(static_cast<bool>(check_path(library.file)), "names stay inside");
    const std::string written = format_description(*read);
    const auto again = parse_description(written, "FILE", Hashes::optional);
    require(static_cast<bool>(again), "what is written is read");
    require(format_description(*again) == written, "and is written the same");
    return 0;
}
