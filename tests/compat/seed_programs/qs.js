// As much of qs as the guides' programs use.
module.exports = { stringify: (values) => new URLSearchParams(values).toString() };
