// The arrows of the architecture: who may include whom.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "catch.hpp"

namespace fs = std::filesystem;

namespace {

/// Layers of core in order; each may include itself and those before it.
const std::vector<std::string> kLayers = {"base",    "vulkan", "kernels", "graph",     "ops",
                                          "weights", "adapters", "text", "models", "diffusion", "pipelines", "measure"};

std::size_t rank(const std::string& layer) {
    for (std::size_t i = 0; i < kLayers.size(); ++i)
        if (kLayers[i] == layer) return i;
    return kLayers.size();
}

/// The first path component of every `#include "…"` of a file.
std::multimap<std::string, std::string> quoted_includes(const fs::path& file) {
    std::multimap<std::string, std::string> found;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const std::string start = "#include \"";
        if (line.rfind(start, 0) != 0) continue;
        const std::string path = line.substr(start.size(), line.rfind('"') - start.size());
        found.emplace(path.substr(0, path.find('/')), path);
    }
    return found;
}

bool is_source(const fs::path& p) { return p.extension() == ".cpp" || p.extension() == ".hpp" || p.extension() == ".h"; }

}  // namespace

TEST_CASE("a layer of core includes only the layers below it", "[architecture]") {
    const fs::path core = fs::path(PUMICE_TEST_DATA).parent_path() / "core";
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(core)) {
        if (!is_source(entry.path())) continue;
        ++files;
        const std::string layer = fs::relative(entry.path(), core).begin()->string();
        REQUIRE(rank(layer) < kLayers.size());
        for (const auto& [room, path] : quoted_includes(entry.path())) {
            INFO(entry.path() << " includes " << path);
            // Generated tables have no folder in their include.
            CHECK((rank(room) <= rank(layer) || path.find('/') == std::string::npos));
            CHECK(room != "host");
            CHECK(room != "pumice");
            if (layer == "text") CHECK((room == "text" || room == "base" || path.find('/') == std::string::npos));
        }
    }
    CHECK(files > 20);
}
