// Deterministic driver of the fuzz tests: PROGRAM [--runs N] [--first N] [FILE...]
// Tries all seeds, then N mutations of them. Mutation number i depends on i alone,
// and a crash prints it, so `--first i --runs 1` repeats it. With FILEs, tries those instead.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "base/hash.hpp"
#include "fuzz.hpp"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

__attribute__((weak)) unsigned long fuzz_runs() {
  return 5000;
}

namespace {

using benchfs::SplitMix64;

constexpr std::size_t kInputBytesMax = 64 * 1024;

volatile unsigned long current_run = 0;

void print_run() {
  char text[64];
  const int n = std::snprintf(text, sizeof text, "fuzz: failed in run %lu\n", current_run);
  (void)!write(STDERR_FILENO, text, static_cast<std::size_t>(n));
}

void on_signal(int signal) {
  print_run();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void try_input(const std::string& input) {
  // A copy of exactly this size, so that ASan sees a read past its end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

/// One random change. `other` is another seed, the source of words that mean something.
void mutate(std::string& input, const std::string& other, SplitMix64& random) {
  constexpr std::uint64_t kEdges[] = {0,      1,      0x7f,       0x80,       0xff,
                                      0x7fff, 0xffff, 0x7fffffff, 0xffffffff, ~0ull};
  const auto place = [&](const std::string& text, std::size_t slack) {
    return random.below(static_cast<std::uint32_t>(text.size() + slack));
  };
  const std::uint32_t kind = input.empty() ? 4 + random.below(2) : random.below(8);
  const auto length = std::size_t{1} + random.below(random.below(4) == 0 ? 64 : 4);
  switch (kind) {
    case 0:
      input[place(input, 0)] ^= static_cast<char>(1u << random.below(8));
      break;
    case 1:
      input[place(input, 0)] = static_cast<char>(random.below(256));
      break;
    case 2:
      input.erase(place(input, 0), length);
      break;
    case 3: {
      const std::uint64_t edge = kEdges[random.below(std::size(kEdges))];
      const std::size_t at = place(input, 0);
      std::memcpy(input.data() + at, &edge,
                  std::min({input.size() - at, std::size_t{1} << random.below(4), sizeof edge}));
      break;
    }
    case 4:
      input.insert(place(input, 1), 1, static_cast<char>(random.below(256)));
      break;
    case 5:
      if (!other.empty()) input.insert(place(input, 1), other.substr(place(other, 0), length));
      break;
    case 6:
      input.insert(place(input, 1), input.substr(place(input, 0), length));
      break;
    default:
      input.resize(place(input, 0));
  }
  if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
}

unsigned long number(const char* text) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text, &end, 10);
  if (end == text || *end != '\0') {
    std::fprintf(stderr, "fuzz: not a number: %s\n", text);
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long runs = fuzz_runs();
  unsigned long first = 0;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--runs" && i + 1 < argc) {
      runs = number(argv[++i]);
    } else if (arg == "--first" && i + 1 < argc) {
      first = number(argv[++i]);
    } else {
      files.emplace_back(arg);
    }
  }
  std::signal(SIGABRT, on_signal);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(print_run);

  for (const std::string& name : files) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "fuzz: cannot read %s\n", name.c_str());
      return 2;
    }
    std::stringstream content;
    content << file.rdbuf();
    try_input(content.str());
  }
  if (!files.empty()) return 0;

  const std::vector<std::string> seeds = fuzz_seeds();
  const auto n_seeds = static_cast<std::uint32_t>(seeds.size());
  for (const std::string& seed : seeds) try_input(seed);
  for (unsigned long run = first; run < first + runs; ++run) {
    current_run = run;
    SplitMix64 random(run);
    std::string input = seeds[random.below(n_seeds)];
    const std::uint32_t changes = 1 + random.below(6);
    for (std::uint32_t i = 0; i < changes; ++i) mutate(input, seeds[random.below(n_seeds)], random);
    try_input(input);
  }
  std::printf("fuzz: %lu inputs\n", runs);
  return 0;
}
