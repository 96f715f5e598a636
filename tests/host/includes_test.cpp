// The program is built on the embedding API alone.
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "catch.hpp"
#include "pumice/pumice.h"

namespace fs = std::filesystem;

extern "C" std::size_t pumice_sizes_in_c(void);

TEST_CASE("configuration, pictures and command line include nothing of core or of the engine") {
    const fs::path host = fs::path(PUMICE_TEST_DATA).parent_path() / "host";
    const std::set<std::string> allowed = {"pumice", "config", "image", "cli", "plugins", "bench", "outcome.hpp"};
    std::size_t files = 0;
    for (const char* room : {"config", "image", "cli", "include", "bench/report"})
        for (const auto& entry : fs::recursive_directory_iterator(host / room)) {
            if (!entry.is_regular_file()) continue;
            ++files;
            std::ifstream in(entry.path());
            for (std::string line; std::getline(in, line);) {
                const std::string start = "#include \"";
                if (line.rfind(start, 0) != 0) continue;
                const std::string path = line.substr(start.size(), line.rfind('"') - start.size());
                INFO(entry.path() << " includes " << path);
                CHECK(allowed.count(path.substr(0, path.find('/'))) == 1);
            }
        }
    CHECK(files > 20);
}

TEST_CASE("structs have one size in C and in C++") {
    CHECK(pumice_sizes_in_c() == sizeof(pumice_error) + sizeof(pumice_version) + sizeof(pumice_device_info) +
                                     sizeof(pumice_engine_options) + sizeof(pumice_model_options) +
                                     sizeof(pumice_request) + sizeof(pumice_image));
}
