"""Settings of the learning: its length, its speed, and what counts as an error."""

from __future__ import annotations

from dataclasses import dataclass

from lora_trainer.settings.field import GIVEN, MAX_SEED, ON, Group, limited, shown, suggested

OPTIMIZERS = (
    *("AdamW", "AdamW8bit", "PagedAdamW8bit", "Lion", "Lion8bit", "PagedLion8bit", "SGDNesterov", "SGDNesterov8bit"),
    *("DAdaptation", "DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptAdanIP", "DAdaptLion", "DAdaptSGD"),
    *("AdaFactor", "Prodigy", "AdamWScheduleFree", "RAdamScheduleFree", "SGDScheduleFree", "CAME"),
)
SCHEDULERS = (
    *("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"),
    *("cosine_with_min_lr", "warmup_stable_decay", "rex"),
)
HUBER = {"loss_type": ["huber", "smooth_l1"]}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings(Group):
    """How long and how finely it learns."""

    epochs: int = limited(10, low=1, high=1000, basic=True)
    """Rounds over all images. Every epoch is saved as a numbered file, and the best is picked afterwards."""
    max_train_steps: int = shown(limited(0, low=0, high=1_000_000), unit="steps")
    """End after this many steps instead, in as many epochs as they make; 0 means the epochs count."""
    gradient_accumulation_steps: int = shown(limited(1, low=1, high=256), unit="batches")
    """Batches that are learnt from in one step: the effect of a larger batch without its memory."""
    gradient_checkpointing: bool = False
    """Need much less memory, and about a quarter more time."""
    mixed_precision: str = limited("auto", choices=("auto", "fp32", "bf16", "fp16"))
    """Number format of the frozen model while it trains; auto takes the best that the device has."""
    device: str = limited("auto", choices=("auto", "cuda", "cpu"))
    """Where to train; auto takes the graphics card where there is one."""
    seed: int = limited(42, low=0, high=MAX_SEED)
    """Start of all random numbers: the same seed gives the same LoRA."""
    ema_decay: float = limited(0.0, low=0.0, high=0.99999)
    """Save an average of the last weights, which is steadier: 0.99 averages over about 100 steps, 0 is off."""
    save_state: bool = True
    """Save the state of the training with every epoch, so that it can go on from there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSettings(Group):
    """How fast it learns."""

    unet_lr: float = limited(1e-4, low=0.0, high=10.0, basic=True)
    """Learning rate of the U-Net, which draws; 0 leaves it alone."""
    text_encoder_lr: float = limited(0.0, low=0.0, high=10.0)
    """Learning rate of the text encoder, about a tenth of the U-Net's; 0 leaves it alone."""
    text_encoder_lr2: float = shown(limited(0.0, low=0.0, high=10.0), needs={"family": ["SDXL"]})
    """Learning rate of SDXL's second, larger text encoder; 0 leaves it alone."""
    optimizer_type: str = suggested("AdamW", OPTIMIZERS)
    """What turns gradients into steps; any `module.Class` may be named too."""
    optimizer_args: tuple[str, ...] = ()
    """Further arguments of the optimizer, such as `betas=(0.9, 0.99)`."""
    weight_decay: float = limited(0.01, low=0.0, high=1.0)
    """Pull of the weights towards zero."""
    max_grad_norm: float = limited(1.0, low=0.0, high=100.0)
    """Longest gradient a step may have; 0 means no limit."""
    lr_scheduler: str = limited("cosine", choices=SCHEDULERS)
    """How the learning rate goes on after the warm-up."""
    lr_warmup: float = shown(limited(0.05, low=0.0, high=0.5), needs={"lr_warmup_steps": [0]})
    """Share of all steps in which the learning rate rises from zero."""
    lr_warmup_steps: int = shown(limited(0, low=0, high=1_000_000), unit="steps")
    """The same as a number of steps; 0 means the share counts."""
    lr_scheduler_num_cycles: int = shown(limited(1, low=1, high=100), needs={"lr_scheduler": ["cosine_with_restarts"]})
    """How often the schedule with restarts runs through."""
    lr_scheduler_power: float = shown(limited(1.0, low=0.1, high=10.0), needs={"lr_scheduler": ["polynomial"]})
    """Bend of the polynomial schedule: 1 is a straight line, more falls earlier."""
    lr_scheduler_min_lr_ratio: float = shown(
        limited(0.1, low=0.0, high=1.0), needs={"lr_scheduler": ["cosine_with_min_lr", "warmup_stable_decay", "rex"]}
    )
    """Lowest learning rate of the schedules that have one, as a share of the highest."""
    lr_decay: float = shown(limited(0.2, low=0.0, high=1.0), needs={"lr_scheduler": ["warmup_stable_decay"]})
    """Share of all steps at the end in which the warm-up–stable–decay schedule falls."""
    loraplus_lr_ratio: float = shown(
        limited(0.0, low=0.0, high=1000.0), needs={"network_type": ["LoRA", "LoCon", "DoRA"]}
    )
    """How much faster the second half of each layer learns than the first (LoRA+): 16 is usual, 0 is off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSettings(Group):
    """What counts as an error, and the noise that is learnt from."""

    loss_type: str = limited("l2", choices=("l2", "l1", "huber", "smooth_l1"))
    """How a wrong prediction counts: l2 punishes large errors most, l1 all alike, the others lie between."""
    huber_schedule: str = shown(limited("snr", choices=("constant", "exponential", "snr")), needs=HUBER)
    """How the limit between both kinds of error changes with the noise, for huber and smooth_l1."""
    huber_c: float = shown(limited(0.1, low=0.0001, high=10.0), needs=HUBER)
    """The limit between both kinds of error, for huber and smooth_l1; smaller is closer to l1."""
    huber_scale: float = shown(
        limited(1.0, low=0.01, high=100.0), needs={**HUBER, "huber_schedule": ["constant", "exponential"]}
    )
    """Factor on that limit where it is constant or exponential."""
    min_snr_gamma: float = limited(0.0, low=0.0, high=20.0)
    """Let steps with little noise count no more than this (min-SNR): 5 is usual, 0 is off."""
    debiased_estimation_loss: bool = False
    """Let steps with much noise count more, for what decides the picture's layout (debiased estimation)."""
    v_pred_like_loss: float = shown(limited(0.0, low=0.0, high=100.0), needs={"prediction_type": ["auto", "epsilon"]})
    """Add this much of v-prediction's weights to the loss of a model that predicts noise; 0 is off."""
    prior_loss_weight: float = shown(limited(1.0, low=0.0, high=10.0), needs={"reg_data_dir": [GIVEN]})
    """How much regularisation images count."""
    noise_offset: float = limited(0.0, low=0.0, high=1.0)
    """Extra noise common to a whole channel, which helps very dark and very bright images; stay at 0.2 or below."""
    noise_offset_random_strength: bool = shown(False, needs={"noise_offset": [ON]})
    """Take another noise offset in every step, up to the one above."""
    adaptive_noise_scale: float = shown(limited(0.0, low=-1.0, high=1.0), needs={"noise_offset": [ON]})
    """Add this much of the image's own mean brightness to the noise offset."""
    multires_noise_iterations: int = limited(0, low=0, high=16)
    """Add coarser and coarser noise this many times, which frees the layout: 6 to 10 are usual, 0 is off."""
    multires_noise_discount: float = shown(limited(0.3, low=0.0, high=1.0), needs={"multires_noise_iterations": [ON]})
    """How much weaker each coarser noise is."""
    ip_noise_gamma: float = limited(0.0, low=0.0, high=1.0)
    """Disturb what the model sees, but not what it should say, by this much: 0.1 is usual, 0 is off."""
    ip_noise_gamma_random_strength: bool = shown(False, needs={"ip_noise_gamma": [ON]})
    """Take another such disturbance in every step, up to the one above."""
    timestep_sampling: str = limited("stratified", choices=("stratified", "uniform"))
    """How noise levels are drawn: spread evenly over batch and steps, for a steadier loss, or each by itself."""
    min_timestep: int = limited(0, low=0, high=999)
    """Lowest noise level that is learnt, of 0 to 999."""
    max_timestep: int = limited(1000, low=1, high=1000)
    """Noise levels below this one are learnt, of 1 to 1000."""
    prediction_type: str = limited("auto", choices=("auto", "epsilon", "v_prediction"))
    """What the model predicts; auto reads it from the checkpoint."""
    zero_terminal_snr: str = limited("auto", choices=("auto", "yes", "no"))
    """Whether the last noise level hides the image wholly; auto reads it from the checkpoint."""
