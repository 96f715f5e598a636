// The stored cases of tests/goldens, as JSON.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "catch.hpp"

inline nlohmann::json read_golden_json(const std::string& name) {
    std::ifstream file(std::string(PUMICE_TEST_DATA) + "/goldens/" + name);
    auto cases = nlohmann::json::parse(file, nullptr, false);
    REQUIRE(cases.is_array());
    REQUIRE(!cases.empty());
    return cases;
}
