// What a fuzz test provides. Built with fuzz_main.cc it is a program for `make check` that tries a
// bounded number of inputs, the same in every run; built with `clang++ -fsanitize=fuzzer` in its
// place it is a libFuzzer target.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Tries one input. Ends the process (BFS_ASSERT, a sanitizer) if the code under test does wrong.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Inputs that fuzz_main.cc tries as they are, and mutates.
std::vector<std::string> fuzz_seeds();

/// How many mutations fuzz_main.cc tries unless told otherwise: some seconds under sanitizers. May
/// be left out; then 5000.
unsigned long fuzz_runs();
