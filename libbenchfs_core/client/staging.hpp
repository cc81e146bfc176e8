// Staging buffers for list I/O: small pieces are packed into one message per server. The last
// buffer given back is the first used again, so it is warm in the cache.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace benchfs {

class StagingPool {
 public:
  void set_size(std::size_t bytes) { bytes_ = bytes; }

  class Lease {
   public:
    Lease() = default;
    Lease(StagingPool* pool, std::unique_ptr<std::byte[]> data)
        : pool_(pool), data_(std::move(data)) {}
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&& other) noexcept {
      give_back();
      pool_ = other.pool_;
      data_ = std::move(other.data_);
      return *this;
    }
    ~Lease() { give_back(); }
    std::byte* data() const { return data_.get(); }

   private:
    void give_back() {
      if (data_ != nullptr && pool_->free_.size() < kKeptMax)
        pool_->free_.push_back(std::move(data_));
      data_.reset();
    }
    StagingPool* pool_ = nullptr;
    std::unique_ptr<std::byte[]> data_;
  };

  Lease acquire() {
    if (free_.empty()) return {this, std::make_unique_for_overwrite<std::byte[]>(bytes_)};
    Lease lease{this, std::move(free_.back())};
    free_.pop_back();
    return lease;
  }

 private:
  static constexpr std::size_t kKeptMax = 64;
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

}  // namespace benchfs
