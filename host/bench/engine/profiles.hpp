// What the benchmark measures: fixed, so that two devices' numbers are of the same work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pumice::bench {

enum class Kind : std::uint8_t { text, picture, from_picture, control, decode };
const char* to_string(Kind);

enum class Weights : std::uint8_t { given, random_sd15, random_sdxl };

struct Profile {
    std::string name;
    Kind kind = Kind::picture;
    std::uint32_t width = 512, height = 512;  ///< pixels
    std::uint32_t steps = 20, batch = 1;
    bool cold = false;  ///< measured from an empty pipeline cache too
};

/// The profiles of one checkpoint, in the order they are run: the one for the cold start first.
struct Group {
    std::string prefix;  ///< of the names
    Weights weights = Weights::given;
    std::vector<Profile> profiles;
};

/// What is measured with random weights, or with a checkpoint of a family ("sd1", "sd2", "sdxl": its prefix becomes that of
/// the random ones).
std::vector<Group> random_groups();
Group given_group(const std::string& family, std::uint32_t side);
/// With the starter model.
Group quick_group();

/// Those whose name contains `only`; groups that are left empty go.
std::vector<Group> choose(std::vector<Group> groups, const std::string& only);

}  // namespace pumice::bench
