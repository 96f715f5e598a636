// Early return for functions that give Expected<T> (pumice.hpp).
#pragma once

#include <utility>

#include "pumice/pumice.hpp"

/// Returns the failure of `expr` from the enclosing function, if it has one.
#define HOST_TRY(expr)                                                                              \
    do {                                                                                            \
        if (auto host_outcome_ = (expr); !host_outcome_) return std::move(host_outcome_.failure()); \
    } while (false)

#define HOST_CONCAT_(a, b) a##b
#define HOST_CONCAT(a, b) HOST_CONCAT_(a, b)

/// `HOST_ASSIGN(auto x, f());` declares x from an Expected or returns its failure.
#define HOST_ASSIGN(decl, expr)                                                                                  \
    auto HOST_CONCAT(host_outcome_, __LINE__) = (expr);                                                          \
    if (!HOST_CONCAT(host_outcome_, __LINE__)) return std::move(HOST_CONCAT(host_outcome_, __LINE__).failure()); \
    decl = *std::move(HOST_CONCAT(host_outcome_, __LINE__))
